"""The blend weight by the number of items in the history (docs/decisions/0048).

The linear half's scores after one item have few large values and many small ones. Standardised,
they would outvote the language model, which knows what most people have; the weight that is best
for whole histories is then too large.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import RowWeights
from cllm4rec.errors import IntegrityError, shortened


@dataclass(frozen=True, slots=True)
class ByLength:
    """Blend weights for short histories.

    Attributes:
        points: numbers of items, ascending, and the weight after so many. Between two points the
            weight is linear in the logarithm of the number, beyond the last it stays.
    """

    points: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, points: Any) -> "ByLength | None":
        """From JSON, ``[[items, weight], …]``; None where there is one weight for all.

        Raises:
            ValueError: these are no points.
        """
        if points is None:
            return None
        if not isinstance(points, list) or not points or not all(map(_is_point, points)):
            raise ValueError(f"no weights by length: {points!r}")
        found = tuple((number, float(weight)) for number, weight in points)
        for (number, weight), (more, larger) in pairwise(((0, 0.0), *found)):
            if number >= more or weight > larger:
                raise ValueError(f"weights by length do not ascend: {points!r}")
        if found[-1][1] == 0:
            raise ValueError(f"no weight of whole histories: {points!r}")
        return cls(found)

    @classmethod
    def recorded(cls, points: Any, place: object, mend: str) -> "ByLength | None":
        """From what a file or a record holds; of before 2026-12-01 it holds none.

        Raises:
            IntegrityError: it was edited.
        """
        try:
            return cls.of(points)
        except ValueError:
            raise IntegrityError(
                f"{place} has blend_by_length = {shortened(str(points), 60)}; {mend}"
            ) from None

    def __str__(self) -> str:
        """As people read it, without those of whole histories: ``0 after 1 item, 0.1 after 2``."""
        return ", ".join(
            f"{weight:.4g} after {number}{' item' * (number == 1)}"
            for number, weight in self.points
            if weight < self.whole
        )

    @property
    def whole(self) -> float:
        """The weight for histories that are not short."""
        return self.points[-1][1]

    def rows(
        self, history: Interactions, num_items: int | None = None, counted: int | None = None
    ) -> RowWeights:
        """Weights of histories; an empty one has that of one item.

        Args:
            history: one row each.
            num_items: of the trained items; further ones were added later. None: all.
            counted: of how many items each history counts as; None: of those that it has.
        """
        numbers, weights = zip(*self.points, strict=True)
        counts = np.maximum(history.counts(), 1)
        if counted is not None:
            counts = np.full_like(counts, max(counted, 1))
        found = np.interp(np.log(counts), np.log(numbers), weights)
        weight = torch.from_numpy(found.astype(np.float32))[:, None]
        items = np.asarray(history.items, np.int64)
        trained = items < (history.num_items if num_items is None else num_items)
        own = (np.asarray(history.users(), np.int64)[trained], items[trained])
        rows, of_items = map(torch.from_numpy, own)
        return RowWeights(weight, (weight / self.whole).clamp(max=1), (rows, of_items))


Weight = float | ByLength


def _is_point(point: Any) -> bool:
    """Whether it is a whole number from 1 to a million, and a weight."""
    return (
        isinstance(point, list | tuple)
        and len(point) == 2
        and type(point[0]) is int
        and 1 <= point[0] <= 1_000_000
        and type(point[1]) in (int, float)
        and 0 <= point[1] <= 1
    )


def told(
    histories: Interactions, number: int | None, *, newest: bool, seed: int = 0
) -> Interactions:
    """At most ``number`` items of each history.

    Args:
        histories: oldest first.
        number: of items; None: all.
        newest: whether they are the newest ones, in their order; else they are drawn at random, a
            larger number with those of a smaller one among them.
        seed: of the draw.
    """
    if number is None:
        return histories
    draw = np.random.default_rng(seed)
    rows = []
    for row in range(histories.num_users):
        items = histories.of(row)
        kept = items[-number:] if newest else draw.permutation(items)[:number]
        rows.append(kept.tolist())
    return Interactions.from_lists(rows, histories.num_items)
