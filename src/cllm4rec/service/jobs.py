"""Jobs of the batcher's queue: one request's histories, scored a few rows at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer

Reduce = Callable[[NDArray[np.float32], slice], Any]
"""Reduces scores ``[rows, items]`` of some rows of a job to a result."""


@dataclass(eq=False)
class Job:
    """Histories of one request, and the results so far."""

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
    """Number of rows scored."""
    kept: list[Any] = field(default_factory=list)
    left: int = 0
    """Tokens not yet scored."""

    def take(self, budget: int) -> slice:
        """The next rows of at most ``budget`` tokens, at least one row."""
        ends = np.cumsum(self.tokens[self.done :])
        count = max(1, int(np.searchsorted(ends, budget, side="right")))
        return slice(self.done, self.done + count)


def stacked(blocks: list[Interactions]) -> Interactions:
    """Concatenate the rows of several interactions."""
    if len(blocks) == 1:
        return blocks[0]
    counts = np.concatenate([block.counts() for block in blocks])
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Interactions(offsets, np.concatenate([b.items for b in blocks]), blocks[0].num_items)
