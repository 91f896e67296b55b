"""Whatever can score the catalogue, and the lists it makes for many users."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking.lists import RankedItems
from cllm4rec.ranking.topk import top_k


class Scorer(Protocol):
    """Whatever can score the catalogue for users: baselines, the model, an ensemble."""

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``[batch, items]``, higher is better, finite; −inf means never.

        Args:
            users: user numbers, ``[batch]``.
            history: the items known of them, one row per entry of ``users``.
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
    """Rank the catalogue for many users, a batch at a time: no users × items matrix exists.

    Args:
        scorer: scores a batch of users from their known items.
        users: user numbers ``[U]``.
        known: what is known of every user of the data; it is the scorer's input and is left out of
            the lists.
        k: length of the lists.
        batch_users: users scored at once.
        allowed: ``bool [items]``; where given, nothing else is listed.
        progress_label: what the progress line says.
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
