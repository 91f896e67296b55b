"""The interface of scorers, and ranking with one for many users."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking.lists import RankedItems

BLOCK_USERS = 256
"""Users scored at once."""


class Scorer(Protocol):
    """Scores the catalogue for users: a baseline, the model, or a blend."""

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``[batch, items]``, higher is better, finite; −inf means never.

        Args:
            users: user numbers, ``[batch]``.
            history: known items, one row per entry of ``users``.
        """
        ...


def rank_all(scorer: Scorer, users: NDArray[np.int32], known: Interactions, k: int) -> RankedItems:
    """Rank the catalogue for many users in blocks, without a users × items matrix.

    Args:
        scorer: scores a block of users from their known items.
        users: user numbers ``[U]``.
        known: known items of every user of the data; input of the scorer, excluded from the lists.
        k: length of the lists.
    """
    users = np.asarray(users, dtype=np.int32)
    ranked = RankedItems.empty(users, k)
    for rows, history in blocks(known.rows(users), "Ranking"):
        ranked.fill(rows, scorer.score(users[rows], history), history)
    return ranked


def blocks(known: Interactions, label: str) -> Iterator[tuple[NDArray[np.int64], Interactions]]:
    """Row numbers and rows of ``known``, block by block, with a progress bar of that label."""
    with progress.task(label, total=known.num_users, unit="user") as task:
        for start in range(0, known.num_users, BLOCK_USERS):
            rows = np.arange(start, min(start + BLOCK_USERS, known.num_users))
            yield rows, known.rows(rows)
            task.advance(len(rows))
