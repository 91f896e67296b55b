"""Mutual regularisation of the two sides' token vectors (paper eqs. 5 and 8)."""

from torch import Tensor

from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.losses import Loss, mutual_regularisation


class Mutual:
    """λ · mean ½‖own − other‖² over entity-token occurrences; the other side is fixed.

    Args:
        own: the trained side.
        other: z^c beside z^l, or z^l beside z^c; None for no regularisation.
        weight: λ; 0 for no regularisation.
    """

    def __init__(self, own: TokenEmbedding, other: TokenEmbedding | None, weight: float) -> None:
        self.own = own
        self.other = other if weight > 0 else None
        self.weight = weight

    def counts(self, *tokens: Tensor) -> dict[str, int]:
        """Occurrences, under the loss's name; nothing where there is no regularisation."""
        if self.other is None:
            return {}
        return {"mutual": sum(self.own.space.num_entities(some) for some in tokens)}

    def losses(self, *tokens: Tensor) -> dict[str, Loss]:
        """The loss over all occurrences, under its name."""
        if self.other is None:
            return {}
        own, other = self.own, self.other
        parts = [
            mutual_regularisation(own.entity_vectors(some), other.entity_vectors(some))
            for some in tokens
        ]
        total = parts[0].total
        for part in parts[1:]:
            total = total + part.total
        return {"mutual": Loss(total, sum(part.count for part in parts))}
