"""The interface of scorers, and ranking with one for many users."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking.lists import RankedItems
from cllm4rec.ranking.topk import top_k


class Scorer(Protocol):
    """Scores the catalogue for users: a baseline, the model, or a blend."""

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``[batch, items]``, higher is better, finite; −inf means never.

        Args:
            users: user numbers, ``[batch]``.
            history: known items, one row per entry of ``users``.
        """
        ...


def rank_all(
    scorer: Scorer,
    users: NDArray[np.int32],
    known: Interactions,
    k: int,
    *,
    batch_users: int = 256,
    allowed: NDArray[np.bool_] | None = None,
    progress_label: str = "Ranking",
) -> RankedItems:
    """Rank the catalogue for many users in batches, without a users × items matrix.

    Args:
        scorer: scores a batch of users from their known items.
        users: user numbers ``[U]``.
        known: known items of every user of the data; input of the scorer, excluded from the lists.
        k: length of the lists.
        batch_users: users scored at once.
        allowed: ``bool [items]``; if given, only these are listed.
        progress_label: of the progress bar.
    """
    users = np.asarray(users, dtype=np.int32)
    items = np.empty((len(users), k), dtype=np.int32)
    scores = np.empty((len(users), k), dtype=np.float32)
    with progress.task(progress_label, total=len(users), unit="user") as task:
        for start in range(0, len(users), batch_users):
            block = slice(start, start + batch_users)
            history = known.rows(users[block])
            found = top_k(scorer.score(users[block], history), history, k, allowed=allowed)
            items[block], scores[block] = found
            task.advance(history.num_users)
    return RankedItems(users, items, scores)
