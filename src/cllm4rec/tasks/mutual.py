"""Mutual regularisation of collaborative and content vectors (paper eqs. 5 and 8)."""

from typing import Literal

from torch import Tensor

from cllm4rec.config import ModelConfig
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.items import ReadItems
from cllm4rec.models.losses import Loss, mutual_regularisation, prior
from cllm4rec.tokens.batch import moved

DEVICE_DOCUMENTS = 20
"""Documents over which the authors' code sums: one device's batch. Their devices' sums are averaged
(`training.py`, `finetuning.py` of yaochenzhu/LLM4Rec)."""


class Mutual:
    """λ_c · ½‖own − other‖² over user and item tokens, and λ_l · ½‖own‖²; ``other`` is fixed.

    Where items are made of their texts (`ReadItems`), z^c = M t is computed and trained, and
    λ_c · ½‖z^l − z^c‖² over item tokens is a prior on their free part.

    ``mean`` divides by the number of tokens. ``sum`` is the authors' λ · Σ‖own − other‖² over 20
    documents, without the ½; here it is a mean over documents times 20, so that a step of any size,
    accumulated or not, has it.

    Args:
        own: the embedding being trained.
        other: z^c if ``own`` is z^l, and vice versa; None without regularisation.
        weight: λ_c; 0 without regularisation.
        prior_weight: λ_l; 0 without a prior, as for z^c, whose prior is z^l.
        text_prior_weight: λ_c towards what is made of the texts; without such items it is 0.
        scale: of both.
    """

    def __init__(
        self,
        own: TokenEmbedding,
        other: TokenEmbedding | None,
        weight: float,
        *,
        prior_weight: float = 0.0,
        text_prior_weight: float = 0.0,
        scale: Literal["mean", "sum"] = "mean",
    ) -> None:
        self.own = own
        self.other = other
        self.per_document = scale == "sum"
        factor = 2.0 * DEVICE_DOCUMENTS if self.per_document else 1.0
        weight = 0.0 if other is None else weight
        made = own.items if isinstance(own.items, ReadItems) else None
        self.made = made if text_prior_weight else None
        self.weights = {"mutual": weight * factor, "prior": prior_weight * factor}
        """Weight of each loss, by name; 0 for one that is not computed."""
        if self.made is not None:
            self.weights["text_prior"] = text_prior_weight * factor

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        own: TokenEmbedding,
        other: TokenEmbedding | None,
        weight: float,
        *,
        is_collaborative: bool,
        text_prior_weight: float = 0.0,
    ) -> "Mutual":
        """With the settings' scale; z^l has the prior, z^c has not."""
        return cls(
            own,
            other,
            weight,
            prior_weight=config.prior_weight if is_collaborative else 0.0,
            text_prior_weight=text_prior_weight,
            scale=config.regulariser,
        )

    def counts(self, documents: int, *tokens: Tensor) -> dict[str, int]:
        """What each loss is divided by, by name; empty without regularisation.

        Args:
            documents: in the batch.
            tokens: in them, of any kind.
        """
        names = [name for name, weight in self.weights.items() if weight]
        if not names or self.per_document:
            return dict.fromkeys(names, documents)
        return dict.fromkeys(names, sum(self.own.space.num_entities(some) for some in tokens))

    def losses(self, documents: int, *tokens: Tensor) -> dict[str, Loss]:
        """The losses over all occurrences, by name."""
        counts = self.counts(documents, *tokens)
        own = []
        if "mutual" in counts or "prior" in counts:
            own = [self.own.entity_vectors(some) for some in tokens]
        found = {}
        if "mutual" in counts and self.other is not None:
            others = (self.other.entity_vectors(some) for some in tokens)
            terms = [mutual_regularisation(*pair) for pair in zip(own, others, strict=True)]
            found["mutual"] = Loss(_total(terms), counts["mutual"])
        if "prior" in counts:
            found["prior"] = Loss(_total([prior(some) for some in own]), counts["prior"])
        if self.made is not None:
            space, device = self.own.space, self.own.device
            numbers = (space.item_number(some[space.is_item(some)]) for some in tokens)
            rests = [prior(self.made.rest(moved(some, device))) for some in numbers]
            found["text_prior"] = Loss(_total(rests), counts["text_prior"])
        return found


def _total(losses: list[Loss]) -> Tensor:
    total = losses[0].total
    for loss in losses[1:]:
        total = total + loss.total
    return total
