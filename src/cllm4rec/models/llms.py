"""The method's three models: backbone, token table and head composed.

Paper sections 3.2 to 3.4.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.models.backbone import Backbone
from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.losses import Loss, token_likelihood
from cllm4rec.models.prior import FactorPrior
from cllm4rec.tokens.batch import Batch, next_tokens
from cllm4rec.tokens.space import TokenSpace


class ContentLLM(nn.Module):
    """Models the words of reviews and features after soft+hard prompts; its table is z^c."""

    def __init__(self, backbone: Backbone, embedding: ExtendedEmbedding, head: WordHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = embedding
        self.head = head

    def loss(self, batch: Batch) -> Loss:
        """Summed negative log likelihood of the main text's words."""
        hidden = self.backbone(self.embedding(batch.tokens))
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
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.embedding = embedding
        self.head = head
        self.half_precision = half_precision
        self.register_buffer("cold", torch.where(rankable, 0.0, -torch.inf), persistent=False)

    cold: Tensor
    """0, or minus infinity for an item without a training interaction.

    Such an item is no alternative that was passed over, and learning to score it down would only
    spoil what its texts say.
    """

    @property
    def space(self) -> TokenSpace:
        """Layout of the token ids."""
        return self.embedding.space

    def asked(self, batch: Batch) -> Float[Tensor, "asked size"]:
        """Hidden states that the head is asked about: before every main-text item."""
        rows, positions, _ = next_tokens(batch)
        states: Tensor = self.backbone(self.embedding(batch.tokens))[rows, positions]
        return states

    def loss(self, batch: Batch) -> Loss:
        """Summed negative log likelihood of every main-text item, the first included."""
        embedded = self.embedding(batch.tokens)
        hidden = self.backbone(embedded)
        rows, positions, targets = next_tokens(batch)
        mean = running_mean(embedded, batch)[rows, positions]
        query = self.head.query(hidden[rows, positions], mean)
        return token_likelihood(
            query,
            self.embedding.items,
            self.head.bias + self.cold,
            self.space.item_number(targets),
            half_precision=self.half_precision,
        )


class RecLLM(CollaborativeLLM):
    """The collaborative LLM's parts, asked once, at the prompt's last position.

    Its scores may be blended with a closed-form prior's; ``blend`` is the prior's share, chosen on
    validation. Training never sees the prior: fitted on the same interactions, it would seem to
    know the held-out items already.
    """

    def __init__(self, *parts: Any, half_precision: bool) -> None:
        super().__init__(*parts, half_precision=half_precision)
        self.prior: FactorPrior | None = None
        self.blend = 0.0

    def asked(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """Hidden states that the head is asked about: at each prompt's last position."""
        hidden: Tensor = self.backbone(self.embedding(batch.tokens))
        return hidden[torch.arange(len(batch.lengths)), batch.lengths - 1]

    def query(self, batch: Batch) -> Float[Tensor, "batch size"]:
        """One vector per prompt, ``[batch, size]``: all that the item head needs."""
        return self.head.query(self.asked(batch), self.embedding.history_mean(batch.tokens))

    def llm_logits(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue by the language model alone, cold items included."""
        logits: Tensor = self.head(self.query(batch), self.embedding.items)
        return logits

    def prior_logits(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue by the prior alone; zeros where there is none."""
        if self.prior is None:
            return torch.zeros(len(batch.lengths), self.space.num_items)
        rows, positions = self.space.is_item(batch.tokens).nonzero(as_tuple=True)
        items = self.space.item_number(batch.tokens[rows, positions])
        logits: Tensor = self.prior(rows, items, len(batch.lengths))
        return logits

    def forward(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """Blended logits of the whole catalogue."""
        return blended(self.llm_logits(batch), self.prior_logits(batch), self.blend)

    def training_logits(self, batch: Batch) -> Float[Tensor, "batch items"]:
        """The language model's logits, items without a training interaction left out."""
        logits: Tensor = self.llm_logits(batch) + self.cold
        return logits


def blended(
    llm: Float[Tensor, "batch items"], prior: Float[Tensor, "batch items"], share: float
) -> Float[Tensor, "batch items"]:
    """``(1 - share) · llm + share · prior``."""
    return torch.lerp(llm, prior, share)


def running_mean(
    embedded: Float[Tensor, "batch length size"], batch: Batch
) -> Float[Tensor, "batch length size"]:
    """Mean of the main-text embeddings up to and including each position; zero before the first.

    The autoregressive counterpart of a history's mean: position t predicts t + 1 and may look at
    ≤ t.
    """
    positions = torch.arange(embedded.shape[1], device=embedded.device)
    in_main: Int[Tensor, "batch length"] = (
        (positions >= batch.main_starts.unsqueeze(1)) & (positions < batch.lengths.unsqueeze(1))
    ).long()
    total = (embedded * in_main.unsqueeze(-1)).cumsum(dim=1)
    return total / in_main.cumsum(dim=1).clamp_min(1).unsqueeze(-1)


def saved_tensors(model: CollaborativeLLM | ContentLLM) -> dict[str, Tensor]:
    """What training changed, by name: trained parameters and the heads' statistics."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if name in trained or name.startswith("head.")
    }
