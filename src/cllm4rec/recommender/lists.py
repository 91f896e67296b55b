"""Lists for many users, scored in blocks that fit the CPU's caches."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from cllm4rec import progress
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.requests import ListRequest
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
def fill_lists(scorer: ModelScorer, request: ListRequest, found: RankedItems) -> Iterator[Counts]:
    """Fill in the lists of a request, batch by batch.

    Args:
        scorer: of the run.
        request: users, histories and filters.
        found: the lists, one per row of the request, of ``request.k`` places.

    Yields:
        How many users were done, and the tokens read for them.

    Raises:
        RunError: a score is NaN: the model has diverged.
    """
    histories = request.histories
    scorer.model.eval()
    for rows, batch in scorer.batches(request.users, histories):
        queries = scorer.model.last_queries(batch.to(scorer.model.device))
        tokens = int(batch.lengths.sum())
        for block in _slices(len(rows), BLOCK_SCORES, scorer.num_items):
            logits = scorer.model.logits(queries[block]).cpu()
            for part in _slices(len(logits), CACHED_SCORES, scorer.num_items):
                at = rows[block][part]
                taste = scorer.blended(logits[part], histories.rows(at)).numpy()
                scores = request.final(taste)
                found.fill(at, scores, request.left_out(at), allowed=request.allowed)
                yield Counts(len(at), tokens)
                tokens = 0


def noted(request: ListRequest) -> ListRequest:
    """The request; what is not known of it, and why lists will be empty, is said in a line."""
    if request.note is not None:
        progress.note(request.note)
    return request


def ranked(scorer: ModelScorer, request: ListRequest) -> RankedItems:
    """The lists of a whole request, in memory.

    Raises:
        RunError: a score is NaN: the model has diverged.
    """
    found = RankedItems.empty(request.users, request.k)
    with progress.task("Recommending", total=len(request), unit="user") as task:
        for counts in fill_lists(scorer, request, found):
            task.advance(counts.users)
    return found


def _slices(rows: int, scores: int, num_items: int) -> Iterator[slice]:
    """Blocks of at least one row with at most ``scores`` scores."""
    size = max(1, scores // max(1, num_items))
    return (slice(at, min(at + size, rows)) for at in range(0, rows, size))
