"""Token embeddings: frozen words, trained users and items."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.tokens.space import ANONYMOUS, TokenSpace


class ExtendedEmbedding(nn.Module):
    """Word rows are shared and frozen; user and item rows are one trained float32 table.

    Paper section 3.1.

    A negative token stands for a user without a row: `ANONYMOUS` becomes the mean of the row's item
    embeddings, zero where there are none; `NOBODY` becomes zero.
    """

    words: Tensor

    def __init__(
        self,
        words: Float[Tensor, "words size"],
        entities: Float[Tensor, "entities size"],
        space: TokenSpace,
    ) -> None:
        super().__init__()
        if entities.shape[0] != space.num_users + space.num_items:
            raise ValueError(f"{entities.shape[0]} rows for {space}")
        self.space = space
        self.register_buffer("words", words, persistent=False)
        self.entities = nn.Parameter(entities.clone())

    @property
    def items(self) -> Float[Tensor, "items size"]:
        """Rows of the items (a view)."""
        return self.entities[self.space.num_users :]

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length size"]:
        """Embeddings, float32; the gradient reaches user and item rows only."""
        is_word = self.space.is_word(tokens)
        entities = self.entities[self.space.entity_rows(tokens)]
        embedded = self.words[tokens.where(is_word, 0)].masked_fill((tokens < 0).unsqueeze(-1), 0.0)
        embedded = embedded.index_put((tokens >= self.space.num_words,), entities)
        anonymous = tokens == ANONYMOUS
        if anonymous.any():
            mean = self.history_mean(tokens)
            embedded = torch.where(anonymous.unsqueeze(-1), mean.unsqueeze(1), embedded)
        return embedded

    def history_mean(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch size"]:
        """Mean embedding of each row's item tokens; zero for a row without items."""
        row, position = self.space.is_item(tokens).nonzero(as_tuple=True)
        items = self.space.entity_rows(tokens[row, position])
        total = torch.zeros(tokens.shape[0], self.entities.shape[1], device=tokens.device)
        total = total.index_add(0, row, self.entities[items])
        count = torch.zeros(tokens.shape[0], device=tokens.device)
        count = count.index_add(0, row, torch.ones_like(row, dtype=count.dtype))
        return total / count.clamp_min(1).unsqueeze(-1)
