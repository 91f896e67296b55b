"""EASE: the closed-form linear autoencoder (Steck, WWW 2019)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import MANY_USERS, Baseline, Context, Refinement, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer, WeightsScorer
from cllm4rec.linear.ease import MAX_ITEMS
from cllm4rec.linear.ordered import Weights
from cllm4rec.linear.solvers import Solver, solver

NEIGHBOURS = 200
"""Of an item, in its regression, where the catalogue is too large for all (docs/decisions/0024)."""
MAX_ITEMS_BY_NEIGHBOURS = 250_000
"""Finding them compares every item with every other: minutes for 100,000, with the square."""


def too_many_items(num_items: int) -> str | None:
    """Why a catalogue of this size has no exact EASE; None if it has."""
    if num_items <= MAX_ITEMS:
        return None
    return f"{num_items:,} items are more than the {MAX_ITEMS:,} whose matrix fits in memory"


class Ease(Baseline):
    """Item-to-item weights by ridge regression without a diagonal.

    Args:
        neighbours: items in the regression of each, its nearest; none: all, of more than 25,000
            items the nearest 200.

    Raises:
        ValueError: ``neighbours`` is no whole number from 1 on.
    """

    def __init__(self, neighbours: int | None = None) -> None:
        if neighbours is not None and (type(neighbours) is not int or neighbours < 1):
            raise ValueError(f"neighbours = {neighbours!r} is no whole number from 1 on")
        self.neighbours = neighbours
        self._last: tuple[Interactions, Context, str, Solver] | None = None

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` in 20, 100, 300, 1000."""
        return self.marked([{"l2": l2} for l2 in (20, 100, 300, 1000)], num_items)

    def marked(self, points: Sequence[Settings], num_items: int) -> list[Settings]:
        """Points with the number of ``neighbours``, if not all items are in each regression."""
        kept = self.neighbours or (None if num_items <= MAX_ITEMS else NEIGHBOURS)
        return list(points) if kept is None else [{**each, "neighbours": kept} for each in points]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """Work that points share, such as the gram matrix, is done once."""
        return self.fitted(self.points(context), train, context)

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """Half and twice the best ``l2``, where users are many."""
        if users < MANY_USERS:
            return []
        return [
            lambda best: self.fitted(
                [{**best, "l2": float(best["l2"]) * by} for by in (0.5, 2.0)], train, context
            )
        ]

    def fitted(
        self, points: Iterable[Settings], train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """A scorer for each point; those of equal ``transitions``, ``l2``, ``alpha`` together."""
        for (_, transitions), alike in groupby(points, key=_texts_and_transitions):
            by_pair = [(pair, list(same)) for pair, same in groupby(alike, key=_l2_and_alpha)]
            fitted = self.solver(train, context, by_pair[0][1][0])
            fits = fitted.fits([pair for pair, _ in by_pair], transitions)
            for (_, same), weights in zip(by_pair, fits, strict=True):
                for point in same:
                    yield point, self.scorer(point, weights)

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One fit."""
        return next(self.fitted([dict(chosen)], train, context))[1]

    def solver(self, train: Interactions, context: Context, point: Settings) -> Solver:
        """That of these data, of the point's texts and of its ``neighbours``, found once."""
        kind, last = str(point.get("texts", "")), self._last
        if last is None or last[0] is not train or last[1] is not context or last[2] != kind:
            neighbours = point.get("neighbours")
            kept = None if neighbours is None else int(neighbours)
            vectors = self.text_vectors(train, context, point)
            last = self._last = train, context, kind, solver(train, vectors, kept)
        return last[3]

    def text_vectors(
        self, train: Interactions, context: Context, point: Settings
    ) -> NDArray[np.float32]:
        """The side information of a point: none."""
        return np.zeros((context.num_items, 0), np.float32)

    def scorer(self, point: Settings, weights: Weights) -> Scorer:
        """The scorer of one point from the weights of its ``l2`` and ``alpha``."""
        return WeightsScorer(weights)

    def unavailable(self, context: Context) -> str | None:
        """Every pair of items is looked at."""
        if context.num_items <= MAX_ITEMS_BY_NEIGHBOURS:
            return None
        return f"{context.num_items:,} items are more than {MAX_ITEMS_BY_NEIGHBOURS:,}"


def _texts_and_transitions(point: Settings) -> tuple[str, float]:
    return str(point.get("texts", "")), _number(point, "transitions")


def _l2_and_alpha(point: Settings) -> tuple[float, float]:
    return float(point["l2"]), _number(point, "alpha")


def _number(point: Settings, name: str) -> float:
    return float(point.get(name, 0))
