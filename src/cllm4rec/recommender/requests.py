"""Requests for lists, with ids resolved to numbers; shared by Python, CLI and HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.ranking import RankedItems, list_length, top_k
from cllm4rec.recommender.beside_taste import Wanted
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.resolving import Resolved, Since, filter_notes, of_histories, of_users

NO_FILTERS = Filters()


@dataclass(frozen=True, eq=False)
class ListRequest:
    """A request for one list per row.

    Attributes:
        users: ``int32 [rows]``; −1 for users not in the run.
        histories: known items per row, oldest first: what a model sees.
        excluded: further items that each row's user has had, which no model sees; None without any.
        allowed: ``bool [items]``; None to allow all.
        k: length of the lists, at most the catalogue's size.
        seen: whether to list what a row's user has had.
        wanted: what a query in words asks for; None without one.
        note: what is not known, and why lists are empty, in one line; None if there is nothing.
        answered: ``bool [asked]``, of what was asked for, true where it has a row; None for all.
        cold: scores of taste for somebody without a history, ``float32 [items]``; None for
            popularity.
    """

    users: NDArray[np.int32]
    histories: Interactions
    excluded: Interactions | None
    allowed: NDArray[np.bool_] | None
    k: int
    seen: bool = False
    wanted: Wanted | None = None
    note: str | None = None
    cold: NDArray[np.float32] | None = None
    answered: NDArray[np.bool_] | None = None

    @classmethod
    def for_users(
        cls,
        catalogue: Catalogue,
        known: Interactions,
        user_ids: Sequence[str] | None,
        k: int,
        filters: Filters = NO_FILTERS,
        since: Since | None = None,
        wanted: Wanted | None = None,
    ) -> "ListRequest":
        """Lists for users of the run or of the log.

        Users left out by the split (with too few positives, say) are scored from their history,
        as those are whom only ``since`` knows.

        Args:
            catalogue: of the run.
            known: all interactions of the run's users.
            user_ids: to recommend for; None for everyone.
            k: length of the lists.
            filters: on the items listed.
            since: what users had since the data were prepared.
            wanted: from a query in words.

        Raises:
            UnknownId: nothing is known of any of the users, or of the items of ``include``.
            InputError: ``k`` is not positive, or a filter names an unknown column.
        """
        if user_ids is None:
            everyone = np.arange(len(catalogue.dataset.users), dtype=np.int32)
            answered, excluded = np.ones(len(everyone), np.bool_), catalogue.dataset.excluded
            resolved = Resolved(everyone, known, answered, [], excluded)
        else:
            resolved = of_users(catalogue, known, user_ids, since or {})
        return cls._of(catalogue, resolved, k, filters, wanted)

    @classmethod
    def for_histories(
        cls,
        catalogue: Catalogue,
        histories: Sequence[Sequence[str]],
        k: int,
        filters: Filters = NO_FILTERS,
        wanted: Wanted | None = None,
    ) -> "ListRequest":
        """Lists for histories given as item ids; a repeated item counts at its newest place.

        Args:
            catalogue: of the run.
            histories: item ids, oldest first; one that is empty needs a query.
            k: length of the lists.
            filters: on the items listed.
            wanted: from a query in words.

        Raises:
            UnknownId: no item of the histories is known, or none of ``include``.
            InputError: a history is empty, ``k`` is not positive, or a filter names an unknown
                column.
        """
        if wanted is None and not all(histories):
            raise InputError("the history is empty; give at least one item id, or a query")
        return cls._of(catalogue, of_histories(catalogue, histories), k, filters, wanted)

    @classmethod
    def for_nobody(
        cls,
        catalogue: Catalogue,
        k: int,
        filters: Filters = NO_FILTERS,
        *,
        wanted: Wanted | None = None,
        cold: NDArray[np.float32] | None = None,
    ) -> "ListRequest":
        """One list without user and history: by a query in words, by properties, or by both.

        Args:
            catalogue: of the run.
            k: length of the list.
            filters: on the items listed.
            wanted: from a query in words.
            cold: from properties; None for popularity.

        Raises:
            UnknownId: no item of ``include`` is known.
            InputError: ``k`` is not positive, or a filter names an unknown column.
        """
        request = cls._of(catalogue, of_histories(catalogue, [[]]), k, filters, wanted)
        return replace(request, cold=cold)

    @classmethod
    def of(
        cls,
        users: NDArray[np.int32],
        histories: Interactions,
        k: int,
        *,
        excluded: Interactions | None = None,
        allowed: NDArray[np.bool_] | None = None,
        seen: bool = False,
    ) -> "ListRequest":
        """Lists for rows of numbers.

        Args:
            users: ``int32 [rows]``; −1 for users not in the run.
            histories: known items per row, oldest first.
            k: length of the lists.
            excluded: further items that were had, per row; None without any.
            allowed: ``bool [items]``; None to allow all.
            seen: whether to list what was had.

        Raises:
            InputError: ``k`` is not positive.
        """
        return cls(users, histories, excluded, allowed, list_length(k, histories.num_items), seen)

    @classmethod
    def _of(
        cls,
        catalogue: Catalogue,
        resolved: Resolved,
        k: int,
        filters: Filters,
        wanted: Wanted | None = None,
    ) -> "ListRequest":
        allowed = catalogue.allowed(filters)
        users, histories, answered, notes, excluded = resolved
        request = cls.of(users, histories, k, excluded=excluded, allowed=allowed, seen=filters.seen)
        note = "; ".join([*notes, *filter_notes(catalogue, filters, allowed)]) or None
        whole = None if answered.all() else answered
        return replace(request, wanted=wanted, note=note, answered=whole)

    def part(self, start: int, end: int) -> "ListRequest":
        """The rows from ``start`` to ``end``."""
        rows = np.arange(start, end)
        excluded = None if self.excluded is None else self.excluded.rows(rows)
        histories = self.histories.rows(rows)
        return replace(self, users=self.users[rows], histories=histories, excluded=excluded)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def of_nobody(self) -> bool:
        """Whether a query or properties are all there is: no user of the run, no history."""
        nobody = len(self.histories.items) == 0 and bool((self.users < 0).all())
        return nobody and (self.wanted is not None or self.cold is not None)

    def left_out(self, rows: Sequence[int] | NDArray[np.integer]) -> Interactions:
        """Items that the lists of some rows leave out, whatever the filters.

        The one place where what was had becomes what is not listed; read for few rows at a time.
        """
        if self.seen:
            return Interactions.none(len(rows), self.histories.num_items)
        known = self.histories.rows(rows)
        return known if self.excluded is None else known.joined(self.excluded.rows(rows))

    def places(self) -> list[int | None]:
        """The row of each user or history that was asked for; None where nothing is known."""
        if self.answered is None:
            return list(range(len(self)))
        rows = iter(range(len(self)))
        return [next(rows) if whether else None for whether in self.answered]

    def for_all(self, found: RankedItems) -> RankedItems:
        """Lists of what was asked for from those of the rows; empty where nothing is known."""
        if self.answered is None:
            return found
        whole = RankedItems.empty(np.full(len(self.answered), -1, np.int32), self.k)
        for of in ("users", "items", "scores"):
            getattr(whole, of)[self.answered] = getattr(found, of)
        return whole

    def cold_list(self, popularity: NDArray[np.float32]) -> RankedItems:
        """The one list of a request that is `of_nobody`.

        Args:
            popularity: scores without properties, ``float32 [items]``.
        """
        found = RankedItems.empty(self.users, self.k)
        taste = popularity if self.cold is None else self.cold
        scores = self.final(taste[None])
        found.fill(np.zeros(1, np.int64), scores, self.left_out([0]), allowed=self.allowed)
        return found

    def final(self, taste: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores that lists are made of: of taste, with those of the query if there is one.

        Args:
            taste: the model's scores ``[rows, items]``; without user and history, popularity.
        """
        return taste if self.wanted is None else self.wanted.beside(taste)

    def best(
        self, scores: NDArray[np.float32], rows: slice
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Items and scores of the lists of some rows, from scores of taste; see `top_k`."""
        left_out = self.left_out(range(rows.start, rows.stop))
        scores = self.final(scores)
        return top_k(scores, left_out, self.k, allowed=self.allowed)
