"""Explanations by leave-one-out: how far an item's score falls without one history item.

The scores are the ranking scores themselves, blended with the linear model where there is one, by
the blend weight of the whole history (`ModelScorer.counting`). A history of n items costs n + 1
documents, scored as one batch.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer

MOST = 3
"""Most history items per recommended item."""


class Comparing(Scorer, Protocol):
    """A scorer whose scores of a history and of parts of it can be compared."""

    def counting(self, items: int) -> Scorer:
        """The same, for which every history counts as one of so many items."""
        ...


class Reason(NamedTuple):
    """A history item and how much it raises a recommended item's score."""

    item: int
    """Number of the history item."""
    effect: float
    """Score with it minus score without it."""


def leave_one_out(
    history: NDArray[np.int32], num_items: int, newest: int | None = None
) -> Interactions:
    """The whole history as row 0, then one row without each of its ``newest`` items.

    Args:
        history: item numbers, oldest first; each row keeps that order.
        num_items: size of the catalogue.
        newest: how many of the newest items are left out in turn; None for all.
    """
    start = 0 if newest is None else max(0, len(history) - newest)
    count = len(history) - start
    # Row r ≥ 1 lacks place start + r − 1; a mask over all rows keeps the order without a loop.
    kept = np.ones((count + 1, len(history)), bool)
    kept[np.arange(1, count + 1), np.arange(start, len(history))] = False
    offsets = np.zeros(count + 2, np.int64)
    np.cumsum(kept.sum(axis=1), out=offsets[1:])
    items = np.broadcast_to(history, kept.shape)[kept].astype(np.int32)
    return Interactions(offsets, items, num_items)


def explanations_from(
    scores: NDArray[np.floating], left_out: NDArray[np.int32]
) -> list[list[Reason]]:
    """The history items that most raise each recommended item's score.

    Args:
        scores: ``[1 + n, recommended]``, of the rows of :func:`leave_one_out`.
        left_out: the history's items that the rows lack, ``[n]``.

    Returns:
        One list per recommended item, strongest first, of positive effects only; of equal ones the
        older item comes first.
    """
    effects = scores[0].astype(np.float64) - scores[1:].astype(np.float64)
    found = []
    for column in range(scores.shape[1]):
        effect = effects[:, column]
        best = np.argsort(-effect, kind="stable")[:MOST]
        found.append([
            Reason(int(left_out[row]), float(effect[row])) for row in best if effect[row] > 0
        ])
    return found


def explain(
    scorer: Scorer,
    user: int,
    history: NDArray[np.int32],
    items: NDArray[np.int32],
    num_items: int,
) -> list[list[Reason]]:
    """Explain recommended items by leaving each history item out in turn.

    Args:
        scorer: what ranked them.
        user: number of the user; negative for someone the run does not know.
        history: item numbers, oldest first.
        items: recommended item numbers.
        num_items: size of the catalogue.
    """
    rows = leave_one_out(history, num_items)
    users = np.full(rows.num_users, user, np.int32)
    scores = scorer.score(users, rows)[:, items]
    return explanations_from(scores, history)
