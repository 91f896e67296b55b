"""EASE + text with order: the strongest closed form where histories have an order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import MANY_USERS, Context, Refinement, Settings
from cllm4rec.baselines.ease import Ease, l2_and_alpha, rows_of
from cllm4rec.baselines.ease_text import EaseText, around
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Bias, Fitted, Weights
from cllm4rec.linear.ordered import aged_matrix
from cllm4rec.ranking import Scorer

DECAYS = (1.0, 0.8, 0.6, 0.4)
"""Weights of a history's item relative to the item after it; one factorisation serves all."""
TRANSITIONS = (0.0, 0.5, 2.0)
"""Weights of transitions that are tried beside 1."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderedScorer:
    """Item-to-item weights; the score of an item is the sum over the history, older items less.

    Attributes:
        weights: ``float32 [items, items]``, dense or sparse, row = item of the history.
        decay: weight of an item relative to the item after it.
        bias: ``float32 [items]``; None for none.
    """

    weights: Weights
    decay: float
    bias: Bias = None

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        return Fitted(self.weights, self.bias).scores(aged_matrix(history, self.decay))


class EaseTextOrder(EaseText):
    """EASE, with texts where there are any, that sees the order of a history.

    Where the newest interactions are held out, it learns from each past what comes next
    (`cllm4rec.linear.transitions`), and older items of a history count less. Elsewhere what is
    asked for may be of any age: there, windows say which items come close together in time.
    """

    def grid(self, num_items: int) -> list[Settings]:
        """The grid of `EaseText` with transitions and every decay, then without both."""
        points = super().grid(num_items)
        return _aged(points, DECAYS, transitions=1.0) + _aged(points, (1.0,))

    def points(self, context: Context) -> list[Settings]:
        """The half of the grid that has a meaning for these data."""
        newest = context.newest_held_out
        return [point for point in super().points(context) if bool(point["transitions"]) == newest]

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """The rounds of `EaseText`; the weight of transitions, or windows."""

        def finer(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            return self.fitted(self.aged(around(best), context), train, context)

        def strengths(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            points = [{**best, "transitions": weight} for weight in TRANSITIONS]
            return self.fitted(self.aged(points, context), train, context)

        def windows(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            point: Settings = {**best, "windows": True}
            yield point, self.refitted(point, train, context)

        rounds = self.coarse(train, context, users)
        if users >= MANY_USERS:
            rounds.append(finer)
        if context.ordered:
            rounds.append(strengths if context.newest_held_out else windows)
        return rounds

    def aged(self, points: Sequence[Settings], context: Context) -> list[Settings]:
        """Where the newest interactions are held out at every decay, else as they are."""
        if not context.newest_held_out:
            return list(points)
        return [{**point, "decay": decay} for point in points for decay in DECAYS]

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One fit, within windows if these were chosen."""
        if not chosen["windows"]:
            return super().refitted(chosen, train, context)
        point = dict(chosen)
        fitted = self.solver(train, context, point)
        l2, alpha = l2_and_alpha(point)
        return self.scorer(point, fitted.windowed(l2, alpha, rows_of(point)))

    def scorer(self, point: Settings, fitted: Fitted) -> Scorer:
        """The weights with the point's decay."""
        return OrderedScorer(fitted.weights, float(point["decay"]), fitted.bias)

    def unavailable(self, context: Context) -> str | None:
        """As for EASE, and histories must have an order; there need be no texts."""
        if context.ordered:
            return Ease.unavailable(self, context)
        return "the interactions have no order; add a column timestamp or position"


def _aged(
    points: Sequence[Settings], decays: Sequence[float], *, transitions: float = 0.0
) -> list[Settings]:
    rest: Settings = {"windows": False, "transitions": transitions}
    return [{**point, **rest, "decay": decay} for point in points for decay in decays]
