"""The models: backbone, token embedding and head; they return states, never losses.

Paper sections 3.2 to 3.4.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.errors import IntegrityError
from cllm4rec.models.backbone import Backbone
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.tokens.batch import Batch, Scored, next_tokens
from cllm4rec.tokens.space import TokenSpace


class TokenLLM(nn.Module):
    """A backbone between a token embedding and a head.

    Args:
        backbone: of the pretrained language model.
        embedding: words, users and items.
        head: maps hidden states to queries.
        dtype: compute dtype of the next-token likelihood's products with all candidates.
    """

    def __init__(
        self,
        backbone: Backbone,
        embedding: TokenEmbedding,
        head: nn.Module,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = embedding
        self.head = head
        self.dtype = dtype

    @property
    def device(self) -> torch.device:
        """Device of the model; its batches must be there."""
        return self.embedding.device


class ContentLLM(TokenLLM):
    """Predicts words of reviews and features after soft+hard prompts; its vectors are z^c."""

    head: WordHead

    def scored(self, batch: Batch) -> Scored:
        """Every word of the main texts."""
        return next_tokens(batch)

    def queries(self, batch: Batch) -> Float[Tensor, "scored size"]:
        """The head's query at every position that predicts a word of a main text."""
        hidden = self.backbone(self.embedding(batch.near.tokens), batch.near.lengths)
        rows, positions, _ = self.scored(batch)
        query: Tensor = self.head(hidden[rows, positions])
        return query


class CollaborativeLLM(TokenLLM):
    """Predicts items in sequences; its item vectors are z^l, and its head is tied to them.

    L-steps predict every item of a document. Finetuned, and used at each document's end only, it
    is the paper's recommendation-oriented LLM (section 3.4).

    Args:
        backbone: of the pretrained language model.
        embedding: words, users and items.
        head: maps hidden states to queries.
        skip_decay: weight of an item in the history mean relative to the item after it.
        dropout: probability during training, for each element of item embeddings and queries.
        dtype: compute dtype of the next-item likelihood's products with the whole catalogue.
    """

    head: ItemHead

    def __init__(
        self,
        backbone: Backbone,
        embedding: TokenEmbedding,
        head: ItemHead,
        *,
        skip_decay: float = 1.0,
        dropout: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(backbone, embedding, head, dtype=dtype)
        self.skip_decay = skip_decay
        self.dropout = dropout

    @property
    def space(self) -> TokenSpace:
        """Layout of the token ids."""
        return self.embedding.space

    def embedded(self, batch: Batch) -> Float[Tensor, "batch length size"]:
        """Embeddings of all tokens; during training with dropout on the items."""
        embedded: Tensor = self.embedding(batch.near.tokens)
        if not self.training or self.dropout == 0:
            return embedded
        is_item = self.space.is_item(batch.tokens).unsqueeze(-1)
        return torch.where(is_item, functional.dropout(embedded, self.dropout), embedded)

    def scored(self, batch: Batch) -> Scored:
        """Every item of the main texts; words may stand behind them."""
        return next_tokens(batch, self.space.is_item)

    def states(self, batch: Batch) -> Float[Tensor, "scored size"]:
        """Hidden states before every main-text item: the head's input."""
        rows, positions, _ = self.scored(batch)
        hidden: Tensor = self.backbone(self.embedded(batch), batch.near.lengths)
        return hidden[rows, positions]

    def last_states(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """Hidden states at each document's last position."""
        return self.backbone.last(self.embedded(batch), batch.near.lengths)

    def queries(self, batch: Batch) -> Float[Tensor, "scored size"]:
        """One query before every main-text item, the first included."""
        embedded = self.embedded(batch)
        hidden = self.backbone(embedded, batch.near.lengths)
        rows, positions, _ = self.scored(batch)
        is_item = self.space.is_item(batch.tokens)
        mean = running_mean(embedded, is_item, self.skip_decay)[rows, positions]
        return self._dropped(self.head(hidden[rows, positions], mean))

    def last_queries(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """One query at each document's end, enough to score the whole catalogue."""
        embedded = self.embedded(batch)
        hidden = self.backbone.last(embedded, batch.near.lengths)
        mean = recent_mean(embedded, self.space.is_item(batch.tokens), self.skip_decay)
        return self._dropped(self.head(hidden, mean))

    def logits(self, queries: Float[Tensor, "rows size"]) -> Float[Tensor, "rows items"]:
        """Scores of the whole catalogue that the model was trained with, float32."""
        trained = self.embedding.items.all()[: len(self.head.bias)]  # others may be appended
        return torch.addmm(self.head.bias, queries, trained.T)

    def _dropped(self, query: Tensor) -> Tensor:
        return functional.dropout(query, self.dropout, self.training)


def running_mean(
    embedded: Float[Tensor, "batch length size"],
    is_item: Bool[Tensor, "batch length"],
    decay: float = 1.0,
) -> Float[Tensor, "batch length size"]:
    """Weighted mean of the items' embeddings up to and including each position.

    An item has ``decay`` times the weight of the item after it. Zero before the first item. The
    autoregressive counterpart of `recent_mean`: position t predicts t + 1 and may look at ≤ t.
    """
    number = is_item.cumsum(dim=1)
    age = (number.unsqueeze(2) - number.unsqueeze(1)).clamp_min(0)
    positions = torch.arange(is_item.shape[1], device=is_item.device)
    visible = (positions <= positions.unsqueeze(1)) & is_item.unsqueeze(1)
    weights = torch.where(visible, torch.tensor(decay) ** age, 0.0)
    total = weights.sum(dim=2, keepdim=True)
    return (weights / total.clamp_min(1e-9)) @ embedded


def recent_mean(
    embedded: Float[Tensor, "batch length size"],
    is_item: Bool[Tensor, "batch length"],
    decay: float = 1.0,
) -> Float[Tensor, "batch size"]:
    """Weighted mean of a row's item embeddings: weight 1 for the newest, ``decay`` per older item.

    Zero for a row without items.
    """
    number = is_item.cumsum(dim=1)
    weights = torch.where(is_item, torch.tensor(decay) ** (number[:, -1:] - number), 0.0)
    total = weights.sum(dim=1, keepdim=True)
    return torch.einsum("bl,bld->bd", weights / total.clamp_min(1e-9), embedded)


def saved_tensors(model: CollaborativeLLM | ContentLLM) -> dict[str, Tensor]:
    """Copies of `own_tensors`."""
    return {name: tensor.clone() for name, tensor in own_tensors(model).items()}


def own_tensors(model: CollaborativeLLM | ContentLLM) -> dict[str, Tensor]:
    """Trained parameters and the heads' statistics, by name, as they stand in the model."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach()
        for name, tensor in model.state_dict().items()
        if name in trained or name.startswith("head.")
    }


def load_tensors(model: CollaborativeLLM, tensors: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into the model by name.

    Raises:
        IntegrityError: a tensor is missing, unexpected, or of another shape.
    """
    expected = saved_tensors(model)
    if differing := expected.keys() ^ tensors.keys():
        raise IntegrityError(f"saved tensors do not fit the model: {min(differing)} differs")
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            raise IntegrityError(f"saved tensor {name} has another shape than the model's")
    model.load_state_dict(dict(tensors), strict=False)


def item_table(model: CollaborativeLLM) -> str | None:
    """Name of the saved tensor that is the item vectors; None where they are computed of others."""
    vectors = model.embedding.items.all()
    held = (name for name, each in model.named_parameters() if each is vectors)
    return next((name for name in held if model.get_parameter(name).requires_grad), None)
