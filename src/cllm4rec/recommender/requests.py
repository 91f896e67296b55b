"""Who is asked for and what may be listed, in numbers; the same for Python, CLI and HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions, newest_once
from cllm4rec.errors import InputError
from cllm4rec.ranking import RankedItems, Scorer, list_length, top_k
from cllm4rec.recommender.catalogue import Catalogue, Filters

BATCH_USERS = 256
"""Users scored at once; no matrix of users and items exists."""
NO_FILTERS = Filters()
_NOTHING_KNOWN = (
    "the data have no positive interaction of it with an item of the catalogue; give a history"
)


@dataclass(frozen=True, eq=False)
class ListRequest:
    """Lists that are wanted.

    Attributes:
        users: ``int32 [rows]``; −1 for someone the run does not know.
        histories: what is known of them, one row each, oldest first.
        left_out: what each list must not hold, one row each.
        allowed: ``bool [items]``; None where everything may be listed.
        k: length of the lists, the catalogue at most.
    """

    users: NDArray[np.int32]
    histories: Interactions
    left_out: Interactions
    allowed: NDArray[np.bool_] | None
    k: int

    @classmethod
    def for_users(
        cls,
        catalogue: Catalogue,
        known: Interactions,
        user_ids: Sequence[str] | None,
        k: int,
        filters: Filters = NO_FILTERS,
        newcomers: Mapping[str, Sequence[str]] | None = None,
    ) -> "ListRequest":
        """Lists for users of the run, and of the log.

        A user whom the split left out (one with too few positives, say) is asked for by history
        alone, as a newcomer is.

        Args:
            catalogue: of the run.
            known: what every user of the run has had.
            user_ids: whom to recommend for; None for everyone.
            k: length of the lists.
            filters: what they may hold.
            newcomers: histories of users whom the run does not know, as item ids, oldest first.

        Raises:
            UnknownId: a user or an item that is not known, or a user without a history.
            InputError: ``k`` is not positive, or a filter names a column that is not there.
        """
        numbers = catalogue.dataset.users
        if user_ids is None:
            everyone = np.arange(len(numbers), dtype=np.int32)
            return cls._of(catalogue, everyone, known, k, filters)
        newcomers = newcomers or {}
        strangers = [each for each in user_ids if each in newcomers or each not in numbers]
        if not strangers:
            users = numbers.numbers(user_ids)
            return cls._of(catalogue, users, known.rows(users), k, filters)
        told = _histories_of_strangers(catalogue, strangers, newcomers)
        rows, users = [], np.full(len(user_ids), -1, np.int32)
        for place, user_id in enumerate(user_ids):
            if user_id in told:
                rows.append(told[user_id])
            else:
                users[place] = numbers.number(user_id)
                rows.append(known.of(int(users[place])).tolist())
        histories = Interactions.from_lists(rows, len(catalogue.items))
        return cls._of(catalogue, users, histories, k, filters)

    @classmethod
    def for_histories(
        cls,
        catalogue: Catalogue,
        histories: Sequence[Sequence[str]],
        k: int,
        filters: Filters = NO_FILTERS,
    ) -> "ListRequest":
        """Lists after bare histories of item ids; of a repeated item the newest place counts.

        Raises:
            UnknownId: an item that is not known.
            InputError: a history is empty, ``k`` is not positive, or a filter names a column that
                is not there.
        """
        if not all(histories):
            raise InputError("the history is empty; give at least one item id")
        rows = [newest_once(catalogue.item_numbers(history)) for history in histories]
        users = np.full(len(rows), -1, np.int32)
        found = Interactions.from_lists(rows, len(catalogue.items))
        return cls._of(catalogue, users, found, k, filters)

    @classmethod
    def _of(
        cls,
        catalogue: Catalogue,
        users: NDArray[np.int32],
        histories: Interactions,
        k: int,
        filters: Filters,
    ) -> "ListRequest":
        num_items = len(catalogue.items)
        left_out = histories
        if filters.seen:
            nothing = np.zeros(len(users) + 1, np.int64)
            left_out = Interactions(nothing, np.empty(0, np.int32), num_items)
        k = list_length(k, num_items)
        return cls(users, histories, left_out, catalogue.allowed(filters), k)

    def __len__(self) -> int:
        return len(self.users)

    def best(
        self, scores: NDArray[np.float32], rows: slice
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The lists of some rows from their scores, as :func:`cllm4rec.ranking.top_k`'s."""
        left_out = self.left_out.rows(range(rows.start, rows.stop))
        return top_k(scores, left_out, self.k, allowed=self.allowed)

    def answered_by(self, scorer: Scorer) -> RankedItems:
        """All lists, scored some users at a time."""
        ranked = RankedItems.empty(self.users, self.k)
        with progress.task("Recommending", total=len(self), unit="user") as task:
            for start in range(0, len(self), BATCH_USERS):
                rows = slice(start, min(start + BATCH_USERS, len(self)))
                histories = self.histories.rows(range(rows.start, rows.stop))
                scores = scorer.score(self.users[rows], histories)
                ranked.items[rows], ranked.scores[rows] = self.best(scores, rows)
                task.advance(histories.num_users)
        return ranked


def _histories_of_strangers(
    catalogue: Catalogue, user_ids: Sequence[str], newcomers: Mapping[str, Sequence[str]]
) -> dict[str, list[int]]:
    """What the log says of users without a number, and then what is new of them."""
    before = catalogue.dataset.left_out.find(user_ids)
    found = {}
    for user_id in user_ids:
        new = catalogue.item_numbers(newcomers.get(user_id, ()))
        history = newest_once([*before.get(user_id, ()), *new])
        if not history:
            why = _NOTHING_KNOWN if user_id in before else ""
            raise catalogue.dataset.users.unknown(user_id, why)
        found[user_id] = history
    return found
