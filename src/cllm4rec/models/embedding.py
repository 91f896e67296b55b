"""Token embeddings: frozen words, trained users and items."""

from dataclasses import replace
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.models.items import FreeItems, ItemEncoder
from cllm4rec.tokens.batch import moved
from cllm4rec.tokens.space import ANONYMOUS, TokenSpace


class LookUp(Protocol):
    """Finds rows of a table that is not here as a whole."""

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Rows of the table."""
        ...


class TokenEmbedding(nn.Module):
    """Frozen word vectors, one float32 user table, and an item encoder.

    Paper section 3.1. Negative tokens are placeholder users: `ANONYMOUS` becomes the mean of the
    row's item vectors (zero without items), `NOBODY` becomes zero.

    Args:
        words: the backbone's word embeddings.
        users: initial user vectors ``[space.num_users, size]``; copied. Without rows there is no
            user table.
        items: of ``space.num_items`` items.
        space: layout of the token ids.

    Raises:
        ValueError: the tables do not match the layout.
    """

    words: Tensor

    def __init__(
        self,
        words: Float[Tensor, "words size"],
        users: Float[Tensor, "users size"],
        items: ItemEncoder,
        space: TokenSpace,
    ) -> None:
        super().__init__()
        if (users.shape[0], items.num_items) != (space.num_users, space.num_items):
            raise ValueError(f"{users.shape[0]} users and {items.num_items} items for {space}")
        self.space = space
        self.register_buffer("words", words, persistent=False)
        self.users = nn.Parameter(users.clone()) if len(users) else None
        self.user_rows: LookUp | None = None
        """Finds users where `users` has only some of their rows."""
        self.items = items

    @classmethod
    def of_tables(cls, words: Tensor, users: Tensor, items: Tensor) -> "TokenEmbedding":
        """Free vectors for users and items."""
        space = TokenSpace(words.shape[0], users.shape[0], items.shape[0])
        return cls(words, users, FreeItems(items), space)

    @property
    def size(self) -> int:
        """Width of every vector."""
        return self.words.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the tables."""
        return self.words.device

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length size"]:
        """Embeddings, float32; the gradient reaches users and items only.

        Args:
            tokens: on the embedding's device, or better on the processor: then the host need not
                wait for the device to find out which of them are what.
        """
        here = self.device
        is_word, is_item = self.space.is_word(tokens), self.space.is_item(tokens)
        words = self.words[moved(tokens.where(is_word, 0), here)]
        embedded = words.masked_fill(moved((tokens < 0).unsqueeze(-1), here), 0.0)
        at = _places(is_item, here)
        vectors = self.items.vectors(moved(self.space.item_number(tokens[is_item]), here))
        embedded = embedded.index_put(at, vectors)
        if self.users is not None:
            is_user = self.space.is_user(tokens)
            embedded = embedded.index_put(
                _places(is_user, here), self.user_vectors(tokens[is_user])
            )
        anonymous = tokens == ANONYMOUS
        if anonymous.any():
            mean = _row_means(vectors, at[0], moved(is_item.sum(dim=1, keepdim=True), here))
            embedded = torch.where(
                moved(anonymous.unsqueeze(-1), here), mean.unsqueeze(1), embedded
            )
        return embedded

    def extend_(self, items: Float[Tensor, "added size"]) -> None:
        """Append fixed item vectors to a trained table, which is trained no further."""
        table = torch.cat([self.items.all().detach(), items.to(self.device)])
        self.items = FreeItems(table).requires_grad_(False)
        self.space = replace(self.space, num_items=len(table))

    def user_vectors(self, tokens: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Vectors of user tokens."""
        if self.users is None:
            return self.words.new_zeros(len(tokens), self.size)
        numbers = moved(self.space.user_number(tokens), self.device)
        if self.user_rows is not None:
            return self.user_rows.vectors(numbers)
        return functional.embedding(numbers, self.users)

    def entity_vectors(self, tokens: Int[Tensor, "..."]) -> Float[Tensor, "entities size"]:
        """Vectors of all user and all item tokens among ``tokens``: users first, then items.

        Args:
            tokens: anywhere; see `forward`.
        """
        numbers = self.space.item_number(tokens[self.space.is_item(tokens)])
        items = self.items.vectors(moved(numbers, self.device))
        return torch.cat([self.user_vectors(tokens[self.space.is_user(tokens)]), items])


def _places(mask: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Where a mask is true, as indices on a device; found where the mask is."""
    return tuple(moved(each, device) for each in mask.nonzero(as_tuple=True))


def _row_means(vectors: Tensor, row: Tensor, counts: Tensor) -> Tensor:
    """Mean of each row's item vectors ``[batch, size]``; zero for a row without items.

    Args:
        vectors: of all items.
        row: of each of them.
        counts: items of each row, ``[batch, 1]``.
    """
    total = vectors.new_zeros(len(counts), vectors.shape[1]).index_add(0, row, vectors)
    return total / counts.clamp_min(1)
