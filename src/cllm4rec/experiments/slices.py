"""Slices: the test part by the user's activity and by the relevant item's popularity."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions

Ranges = Mapping[str, tuple[int, int | None]]
"""Name → fewest and most interactions; None: no limit."""

ACTIVITY: Ranges = {"≤ 5": (0, 5), "6 to 20": (6, 20), "> 20": (21, None)}
"""Interactions of a user that are known before the test part."""
POPULARITY: Ranges = {"0 (cold)": (0, 0), "1 to 5": (1, 5), "6 to 20": (6, 20), "> 20": (21, None)}
"""Interactions of an item in the training part."""
SLICED = ("recall@20", "ndcg@100")
"""Metrics that are given by slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A part of what is to be predicted.

    Attributes:
        by: ``users``: all relevant items of some users; ``items``: some relevant items of all.
        name: which, by number of interactions.
        relevant: of every user, the relevant items in this slice; whoever has none does not count.
    """

    by: Literal["users", "items"]
    name: str
    relevant: Interactions


def slices_of(dataset: Dataset) -> list[Slice]:
    """The slices that hold anything, users' first; each kind together is the whole test part."""
    test = dataset.part("test")
    activity = dataset.known("test").counts()[test.users()]
    popularity = dataset.part("train").item_counts()[test.items]
    return [
        *_slices("users", activity, ACTIVITY, test),
        *_slices("items", popularity, POPULARITY, test),
    ]


def _slices(
    by: Literal["users", "items"], counts: NDArray[np.int64], ranges: Ranges, test: Interactions
) -> Iterator[Slice]:
    for name, (low, high) in ranges.items():
        inside = (counts >= low) & (counts <= (np.inf if high is None else high))
        if inside.any():
            yield Slice(by, name, test.where(inside))
