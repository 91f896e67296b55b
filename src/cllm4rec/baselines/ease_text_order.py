"""EASE + text with order: the strongest closed form where histories have an order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Context, Refinement, Settings
from cllm4rec.baselines.ease import Ease
from cllm4rec.baselines.ease_text import EaseText, around
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer
from cllm4rec.linear.ordered import Weights, aged_matrix

DECAYS = (1.0, 0.8, 0.6, 0.4)
"""Weights of a history's item relative to the item after it; one factorisation serves all."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderedScorer:
    """Item-to-item weights; the score of an item is the sum over the history, older items less.

    Attributes:
        weights: ``float32 [items, items]``, dense or sparse, row = item of the history.
        decay: weight of an item relative to the item after it.
    """

    weights: Weights
    decay: float

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        scores = aged_matrix(history, self.decay) @ self.weights
        return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray())


class EaseTextOrder(EaseText):
    """EASE, with texts where there are any, that sees proximity in time and age.

    Age only where the newest interactions are held out: else what is asked for is of any age.
    """

    def grid(self, num_items: int) -> list[Settings]:
        """The grid of `EaseText`, each point with every decay; windows follow at the best."""
        return _aged(super().grid(num_items), DECAYS)

    def points(self, context: Context) -> list[Settings]:
        """The grid, without decay where it has no meaning."""
        decays = _decays(context)
        return [point for point in super().points(context) if point["decay"] in decays]

    def refinements(self, train: Interactions, context: Context) -> Sequence[Refinement]:
        """The finer grid of `EaseText`, then windows at the best point of both."""
        decays = _decays(context)

        def finer(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            return self.fitted(_aged(around(best), decays), train, context)

        def windows(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            fitted = self.solver(train, context, best)
            weights = fitted.windowed(float(best["l2"]), float(best["alpha"]))
            for point in _aged([best], decays, windows=True):
                yield point, self.scorer(point, weights)

        return [finer, windows]

    def scorer(self, point: Settings, weights: Weights) -> Scorer:
        """The weights with the point's decay."""
        return OrderedScorer(weights, float(point["decay"]))

    def unavailable(self, context: Context) -> str | None:
        """As for EASE, and histories must have an order; there need be no texts."""
        if context.ordered:
            return Ease.unavailable(self, context)
        return "the interactions have no order; add a column timestamp or position"


def _aged(
    points: Sequence[Settings], decays: Sequence[float], *, windows: bool = False
) -> list[Settings]:
    return [{**point, "windows": windows, "decay": d} for point in points for d in decays]


def _decays(context: Context) -> tuple[float, ...]:
    return DECAYS if context.newest_held_out else (1.0,)
