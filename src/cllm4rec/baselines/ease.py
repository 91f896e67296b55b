"""EASE: the closed-form linear autoencoder (Steck, WWW 2019)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import (
    MANY_USERS,
    Baseline,
    Context,
    Demanding,
    Refinement,
    Settings,
)
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import MAX_ITEMS
from cllm4rec.linear.fitted import Fitted
from cllm4rec.linear.rows import Rows
from cllm4rec.linear.solvers import Solver, solver
from cllm4rec.ranking import Scorer

NEIGHBOURS = 200
"""Of an item, in its regression, where the catalogue is too large for all (docs/decisions/0024)."""
MAX_ITEMS_BY_NEIGHBOURS = 250_000
"""Finding them compares every item with every other: minutes for 100,000, with the square."""


LARGE_ITEMS = 6_000
"""Catalogues above this get a coarser grid, one setting after the other: a point takes them 10
seconds or more, 50 at 12,000 items on one core."""
CONSTANTS = (0.3, 0.2, 0.5, 1.0)
"""Values of the constant that are tried beside none; of few users or a large catalogue the first
alone."""
CLEARLY = 0.01
"""How much better other rows must be for few users, as a share."""
POWERS = (0.5, 0.25, 0.75)
"""Powers of the histories' lengths that are tried beside 0, likewise."""


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

    constants: Sequence[float] = CONSTANTS
    """Tried beside none; empty where what is popular is known otherwise."""

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
        """Other rows; half and twice the best ``l2``, where users are many."""
        rounds = self.other_rows(train, context, users)
        if users >= MANY_USERS:
            rounds.append(
                lambda best: self.fitted(
                    [{**best, "l2": float(best["l2"]) * by} for by in (0.5, 2.0)], train, context
                )
            )
        return rounds

    def other_rows(self, train: Interactions, context: Context, users: int) -> list[Refinement]:
        """A constant beside the items, then histories weighed by their length: `Rows`.

        At other values of ``l2`` too; of a large catalogue at the best one alone. Few users cannot
        choose among many points: on 438 the best of 18 was 2 % worse on test than none of them. So
        they try few, which must be better by `CLEARLY`.
        """
        large = context.num_items > LARGE_ITEMS
        tried = 1 if large or users < MANY_USERS else None

        def over(name: str, values: Sequence[float], factors: Sequence[float]) -> Refinement:
            def points(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
                found = [
                    {**best, name: value, "l2": float(best["l2"]) * by}
                    for value in values[:tried]
                    for by in ((1.0,) if large else factors)
                ]
                return self.fitted(self.aged(found, context), train, context)

            return points if users >= MANY_USERS else Demanding(points, CLEARLY)

        return [
            over("constant", self.constants, (1.0, 0.4, 2.5)),
            over("length_power", POWERS, (1.0, 2.5)),
        ]

    def aged(self, points: Sequence[Settings], context: Context) -> list[Settings]:
        """The points, each at every weight of older items that has a meaning; here at one."""
        return list(points)

    def fitted(
        self, points: Iterable[Settings], train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """A scorer for each point; neighbours of equal texts, rows, ``l2``, ``alpha`` together."""
        for (_, rows), alike in groupby(points, key=_texts_and_rows):
            by_pair = [(pair, list(same)) for pair, same in groupby(alike, key=l2_and_alpha)]
            solver = self.solver(train, context, by_pair[0][1][0])
            fits = solver.fits([pair for pair, _ in by_pair], rows)
            for (_, same), fitted in zip(by_pair, fits, strict=True):
                for point in same:
                    yield point, self.scorer(point, fitted)

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

    def scorer(self, point: Settings, fitted: Fitted) -> Scorer:
        """The scorer of one point from the fit of its rows, ``l2`` and ``alpha``."""
        return fitted

    def unavailable(self, context: Context) -> str | None:
        """Every pair of items is looked at."""
        if context.num_items <= MAX_ITEMS_BY_NEIGHBOURS:
            return None
        return f"{context.num_items:,} items are more than {MAX_ITEMS_BY_NEIGHBOURS:,}"


def rows_of(point: Mapping[str, Any]) -> Rows:
    """The rows of a point; those that it does not name are plain."""
    return Rows(**{name: _number(point, name) for name in Rows._fields})


def l2_and_alpha(point: Mapping[str, Any]) -> tuple[float, float]:
    """Of a point; without texts ``alpha`` is 0."""
    return float(point["l2"]), _number(point, "alpha")


def _texts_and_rows(point: Settings) -> tuple[str, Rows]:
    return str(point.get("texts", "")), rows_of(point)


def _number(point: Mapping[str, Any], name: str) -> float:
    return float(point.get(name, 0))
