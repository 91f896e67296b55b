"""The method's three models: backbone, token table and head composed.

Paper sections 3.2 to 3.4.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.models.backbone import Backbone
from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.losses import Loss, token_likelihood
from cllm4rec.tokens.batch import Batch, next_tokens
from cllm4rec.tokens.space import TokenSpace


class ContentLLM(nn.Module):
    """Models the words of reviews and features after soft+hard prompts; its table is z^c."""

    def __init__(self, backbone: Backbone, embedding: ExtendedEmbedding, head: WordHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = embedding
        self.head = head

    @property
    def device(self) -> torch.device:
        """Where it computes, and where its batches have to be."""
        return self.embedding.entities.device

    def loss(self, batch: Batch) -> Loss:
        """Summed negative log likelihood of the main text's words."""
        hidden = self.backbone(self.embedding(batch.tokens), batch.lengths)
        rows, positions, targets = next_tokens(batch)
        return self.head.loss(hidden[rows, positions], targets)


class CollaborativeLLM(nn.Module):
    """Models the item sequences of histories; its table is z^l, its head tied to it."""

    def __init__(
        self,
        backbone: Backbone,
        embedding: ExtendedEmbedding,
        head: ItemHead,
        rankable: Tensor,
        *,
        half_precision: bool,
        skip_decay: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = embedding
        self.head = head
        self.half_precision = half_precision
        self.skip_decay = skip_decay
        self.dropout = dropout
        self.register_buffer("cold", torch.where(rankable, 0.0, -torch.inf), persistent=False)

    cold: Tensor
    """0, or minus infinity for an item without a training interaction.

    Such an item is no alternative that was passed over, and learning to score it down would only
    spoil what its texts say.
    """

    @property
    def device(self) -> torch.device:
        """Where it computes, and where its batches have to be."""
        return self.embedding.entities.device

    @property
    def space(self) -> TokenSpace:
        """Layout of the token ids."""
        return self.embedding.space

    def asked(self, batch: Batch) -> Float[Tensor, "asked size"]:
        """Hidden states that the head is asked about: before every main-text item."""
        rows, positions, _ = next_tokens(batch)
        states: Tensor = self.backbone(self.embedding(batch.tokens), batch.lengths)[rows, positions]
        return states

    def embedded(self, batch: Batch) -> Float[Tensor, "batch length size"]:
        """Embeddings of all tokens, in training with dropout on the items'."""
        embedded: Tensor = self.embedding(batch.tokens)
        if not self.training or self.dropout == 0:
            return embedded
        is_item = self.space.is_item(batch.tokens).unsqueeze(-1)
        return torch.where(is_item, functional.dropout(embedded, self.dropout), embedded)

    def loss(self, batch: Batch) -> Loss:
        """Summed negative log likelihood of every main-text item, the first included."""
        embedded = self.embedded(batch)
        hidden = self.backbone(embedded, batch.lengths)
        rows, positions, targets = next_tokens(batch)
        is_item = self.space.is_item(batch.tokens)
        mean = running_mean(embedded, is_item, self.skip_decay)[rows, positions]
        query = self.head.query(hidden[rows, positions], mean)
        return token_likelihood(
            functional.dropout(query, self.dropout, self.training),
            self.embedding.items,
            self.head.bias + self.cold,
            self.space.item_number(targets),
            half_precision=self.half_precision,
        )


class RecLLM(CollaborativeLLM):
    """The collaborative LLM's parts, asked once, at each document's last position."""

    def asked(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """Hidden states that the head is asked about: at each document's last position."""
        return self.backbone.last(self.embedded(batch), batch.lengths)

    def query(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """One vector per document, ``[batch, size]``: all that the item head needs."""
        embedded = self.embedded(batch)
        hidden = self.backbone.last(embedded, batch.lengths)
        mean = recent_mean(embedded, self.space.is_item(batch.tokens), self.skip_decay)
        query: Tensor = self.head.query(hidden, mean)
        return functional.dropout(query, self.dropout, self.training)

    def forward(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue, cold items included."""
        logits: Tensor = self.head(self.query(batch), self.embedding.items)
        return logits

    def training_logits(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """The same, items without a training interaction left out."""
        logits: Tensor = self.forward(batch) + self.cold
        return logits


def running_mean(
    embedded: Float[Tensor, "batch length size"],
    is_item: Bool[Tensor, "batch length"],
    decay: float = 1.0,
) -> Float[Tensor, "batch length size"]:
    """Weighted mean of the items' embeddings up to and including each position.

    An item weighs ``decay`` times as much as the item after it. Zero before the first item. The
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
    """Weighted mean of a row's item embeddings; the newest weighs 1, each older one ``decay`` less.

    Zero for a row without items.
    """
    number = is_item.cumsum(dim=1)
    weights = torch.where(is_item, torch.tensor(decay) ** (number[:, -1:] - number), 0.0)
    total = weights.sum(dim=1, keepdim=True)
    return torch.einsum("bl,bld->bd", weights / total.clamp_min(1e-9), embedded)


def saved_tensors(model: CollaborativeLLM | ContentLLM) -> dict[str, Tensor]:
    """What training changed, by name: trained parameters and the heads' statistics."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if name in trained or name.startswith("head.")
    }
