"""Mutual regularisation of collaborative and content vectors (paper eqs. 5 and 8)."""

from torch import Tensor

from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.losses import Loss, mutual_regularisation


class Mutual:
    """λ · mean ½‖own − other‖² over entity-token occurrences; ``other`` is fixed.

    Args:
        own: the embedding being trained.
        other: z^c if ``own`` is z^l, and vice versa; None without regularisation.
        weight: λ; 0 without regularisation.
    """

    def __init__(self, own: TokenEmbedding, other: TokenEmbedding | None, weight: float) -> None:
        self.own = own
        self.other = other if weight > 0 else None
        self.weight = weight

    def counts(self, *tokens: Tensor) -> dict[str, int]:
        """Occurrences by name of the loss; empty without regularisation."""
        if self.other is None:
            return {}
        return {"mutual": sum(self.own.space.num_entities(some) for some in tokens)}

    def losses(self, *tokens: Tensor) -> dict[str, Loss]:
        """The loss over all occurrences, by name."""
        if self.other is None:
            return {}
        own, other = self.own, self.other
        losses = [
            mutual_regularisation(own.entity_vectors(some), other.entity_vectors(some))
            for some in tokens
        ]
        total = losses[0].total
        for loss in losses[1:]:
            total = total + loss.total
        return {"mutual": Loss(total, sum(loss.count for loss in losses))}
