"""What waits in the queue: one request's histories, scored some rows at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer

Reduce = Callable[[NDArray[np.float32], slice], Any]
"""Turns the scores ``[rows, items]`` of some rows of a job into what is kept of them."""


@dataclass(eq=False)
class Job:
    """Histories of one request and what to keep of their scores."""

    scorer: Scorer
    users: NDArray[np.int32]
    histories: Interactions
    tokens: NDArray[np.int64]
    reduce: Reduce
    deadline_s: float
    """By :func:`time.monotonic`, as ``since_s``."""
    since_s: float
    future: "asyncio.Future[list[Any]]"
    done: int = 0
    """Rows that are scored."""
    kept: list[Any] = field(default_factory=list)
    left: int = 0
    """Tokens that are not scored yet."""

    def take(self, budget: int) -> slice:
        """The next rows of at most ``budget`` tokens, at least one row."""
        ends = np.cumsum(self.tokens[self.done :])
        count = max(1, int(np.searchsorted(ends, budget, side="right")))
        return slice(self.done, self.done + count)


def stacked(parts: list[Interactions]) -> Interactions:
    """Rows of several interactions, one below the other."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([part.counts() for part in parts])
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Interactions(offsets, np.concatenate([p.items for p in parts]), parts[0].num_items)
