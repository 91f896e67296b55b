"""Lists for many users, scored in blocks that fit the CPU's caches."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.scorer import ModelScorer

BLOCK_SCORES = 4_000_000
"""Logits computed at once: 16 MB."""
CACHED_SCORES = 600_000
"""Scores blended and sorted at once: both halves fit into a core's cache."""


class Counts(NamedTuple):
    """Numbers of users scored and of their prompt tokens, without padding."""

    users: int
    tokens: int


@torch.no_grad()
def lists(
    scorer: ModelScorer, audience: Audience, start: int, end: int, k: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], int]]:
    """The best ``k`` items of the audience's rows ``start`` to ``end``, batch by batch.

    Yields:
        Rows counted from ``start``, items ``int32 [batch, k]``, scores ``float32 [batch, k]``
        (padded with −1 and −inf), and the tokens read. Each row occurs exactly once.

    Raises:
        RunError: a score is NaN: the model has diverged.
    """
    users = audience.numbers[start:end]
    histories = audience.histories.rows(np.arange(start, end))
    scorer.model.eval()
    for rows, batch in scorer.batches(users, histories):
        queries = scorer.model.last_queries(batch.to(scorer.model.device))
        tokens = int(batch.lengths.sum())
        for block in _slices(len(rows), BLOCK_SCORES, scorer.num_items):
            logits = scorer.model.logits(queries[block]).cpu()
            for part in _slices(len(logits), CACHED_SCORES, scorer.num_items):
                at = rows[block][part]
                known = histories.rows(at)
                scores = scorer.blended(logits[part], known)
                yield at, *top_k(scores.numpy(), known, k), tokens
                tokens = 0


def ranked(scorer: ModelScorer, audience: Audience, k: int) -> RankedItems:
    """The lists of a whole audience, in memory."""
    found = RankedItems.empty(audience.numbers, k)
    with progress.task("Recommending", total=len(audience), unit="user") as task:
        for rows, items, scores, _ in lists(scorer, audience, 0, len(audience), k):
            found.items[rows], found.scores[rows] = items, scores
            task.advance(len(rows))
    return found


def _slices(rows: int, scores: int, num_items: int) -> Iterator[slice]:
    """Blocks of at least one row with at most ``scores`` scores."""
    size = max(1, scores // max(1, num_items))
    return (slice(at, min(at + size, rows)) for at in range(0, rows, size))
