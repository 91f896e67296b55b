"""A fair rival of our default: SASRec with our start and our linear model blended in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.ease_lm import EaseLm
from cllm4rec.baselines.ease_text_order import EaseTextOrder
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_, language_half_, linear_half_, unseen_items
from cllm4rec.ensemble.linear import LinearModel, as_chosen, search
from cllm4rec.linear.factors import TEXT_SHARE, item_factors, side_by_side
from cllm4rec.linear.text_vectors import item_text_vectors
from cllm4rec.ranking import Scorer

if TYPE_CHECKING:
    from cllm4rec.baselines.networks.transformer import SasRecNetwork

WEIGHTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
"""Blend weights of the linear model that are tried after each number of epochs."""


@dataclass(frozen=True, slots=True, eq=False)
class BlendedScorer:
    """The blend formula over any scorer of logits and a linear model.

    Attributes:
        network: gives logits.
        linear: the linear half.
        weight: blend weight of the linear half.
        unseen: numbers of the items that the linear half scores alone.
    """

    network: Scorer
    linear: LinearModel
    weight: float
    unseen: torch.Tensor | None

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Blended scores ``float32 [batch, items]``."""
        language = language_half_(torch.from_numpy(self.network.score(users, history)))
        linear = linear_half_(self.linear.sums(history))
        return np.asarray(blend_(language, linear, self.weight, self.unseen).numpy())


class SasRecHybrid(SasRec):
    """SASRec from item factors, blended: its items are free, those of our default have texts too.

    Its item table begins as factors of interactions and texts side by side, in a fixed mixture, at
    the norm of its own initialisation; the linear model is searched as our default's is, and the
    blend formula is the same. The blend weight is chosen on validation with the settings.

    Args:
        dims: as `SasRec`'s, and so on.
        dropouts: likewise.
        layers: likewise.
        learning_rates: likewise.
        losses: likewise.
        reader: settings of ``ease-lm``: which language model reads the texts for the linear model.

    Raises:
        ValueError: as `SasRec`'s and ``ease-lm``'s.
    """

    patience: ClassVar[int | None] = 2 * len(WEIGHTS)

    def __init__(
        self,
        dims: Sequence[int] | None = None,
        dropouts: Sequence[float] | None = None,
        layers: Sequence[int] = (2,),
        learning_rates: Sequence[float] = (1e-3,),
        losses: Sequence[Literal["full", "sampled", "gbce"]] = ("full",),
        reader: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(dims, dropouts, layers, learning_rates, losses)
        self.reader = dict(reader or {})
        # It refuses what it does not take, before minutes of training.
        self.backbone = EaseLm(**self.reader).backbone

    def grid(self, num_items: int) -> list[Settings]:
        """Every point of SASRec's grid with every blend weight."""
        return [{**point, "blend": w} for point in super().grid(num_items) for w in WEIGHTS]

    def trainings(
        self, train: Interactions, context: Context
    ) -> Iterator[Iterator[tuple[Settings, Scorer]]]:
        """One training per network; the linear model is fitted once."""
        assert context.selection is not None, "the linear model is chosen on validation"
        linear = search(train, context.selection, context, reader=self.reader)
        assert linear is not None, "checked by `unavailable`"
        for points in super().trainings(train, context):
            yield _blended(points, linear, unseen_items(train))

    def chosen(self, settings: Settings, scorer: Scorer) -> dict[str, Any]:
        """The point, and the settings of the linear model."""
        assert isinstance(scorer, BlendedScorer)
        return {**settings, "linear_model": scorer.linear.settings}

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One training and one fit, blended with the chosen weight."""
        linear = as_chosen(train, chosen["linear_model"], context, self.reader)
        network = super().refitted(chosen, train, context)
        return BlendedScorer(network, linear, float(chosen["blend"]), unseen_items(train))

    def network(self, settings: Settings, train: Interactions, context: Context) -> "SasRecNetwork":
        """The network with factors as its item table."""
        network = super().network(settings, train, context)
        dim, seed = int(settings["dim"]), context.seed
        texts = item_text_vectors(context.words, dimensions=int(dim * TEXT_SHARE), seed=seed)
        collaborative = item_factors(train, dimensions=dim - texts.shape[1], seed=seed)
        factors = side_by_side(collaborative, texts, power=0.5, text_weight=1.0)
        table = torch.from_numpy(factors) @ _rotation(dim)[: factors.shape[1]]
        table *= network.items.weight.norm(dim=1).mean() / table.norm(dim=1).mean().clamp_min(1e-9)
        with torch.no_grad():
            # Items of which nothing is known keep their noise.
            known = table.norm(dim=1) > 0
            network.items.weight[known] = table[known].float()
        return network

    def unavailable(self, context: Context) -> str | None:
        """What SASRec and the closed form need."""
        return super().unavailable(context) or EaseTextOrder().unavailable(context)


def _blended(
    points: Iterator[tuple[Settings, Scorer]], linear: LinearModel, unseen: torch.Tensor | None
) -> Iterator[tuple[Settings, Scorer]]:
    for settings, network in points:
        for weight in WEIGHTS:
            yield {**settings, "blend": weight}, BlendedScorer(network, linear, weight, unseen)


def _rotation(dim: int) -> torch.Tensor:
    """A random rotation ``[dim, dim]`` from torch's generator, which the caller seeded."""
    rotation: torch.Tensor = torch.linalg.qr(torch.randn(dim, dim))[0]
    return rotation
