"""Interactions: who interacted with what, by number, oldest first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Distinct (user, item) pairs, grouped by user (compressed rows).

    Within a user the items stand in time order: by timestamp, then position; what has one time
    and no position is in random order, and without any times the file's order counts.

    Attributes:
        offsets: ``int64[num_users + 1]``; user ``u`` owns ``items[offsets[u]:offsets[u + 1]]``.
        items: ``int32[n]`` item numbers.
        num_items: size of the catalogue.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    num_items: int

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]], num_items: int) -> "Interactions":
        """One list of item numbers per user, oldest first."""
        counts = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = [item for row in rows for item in row]
        return cls(_offsets(counts), np.array(flat, dtype=np.int32), num_items)

    @classmethod
    def none(cls, num_users: int, num_items: int) -> "Interactions":
        """Users without an interaction."""
        return cls(np.zeros(num_users + 1, dtype=np.int64), np.empty(0, np.int32), num_items)

    @property
    def num_users(self) -> int:
        """Number of rows, users without an interaction included."""
        return len(self.offsets) - 1

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.items)

    def of(self, user: int) -> NDArray[np.int32]:
        """The items of one user, oldest first, ``int32[k]``.

        Raises:
            IndexError: there is no such user number.
        """
        if not 0 <= user < self.num_users:
            raise IndexError(f"user number {user} is outside 0..{self.num_users - 1}")
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def counts(self) -> NDArray[np.int64]:
        """Interactions of each user, ``int64[num_users]``."""
        return np.diff(self.offsets)

    def users(self) -> NDArray[np.int32]:
        """The user of each interaction, ``int32[n]``."""
        return np.repeat(np.arange(self.num_users, dtype=np.int32), self.counts())

    def item_counts(self) -> NDArray[np.int64]:
        """Interactions of each item, ``int64[num_items]``."""
        return np.bincount(self.items, minlength=self.num_items).astype(np.int64)

    def matrix(self) -> scipy.sparse.csr_matrix:
        """Ones at the interactions, float32 ``[num_users, num_items]``, columns sorted in a row."""
        shape = (self.num_users, self.num_items)
        ones = np.ones(len(self), dtype=np.float32)
        matrix = scipy.sparse.csr_matrix((ones, self.items, self.offsets), shape=shape, copy=True)
        matrix.sort_indices()
        return matrix

    def rows(self, users: Sequence[int] | NDArray[np.integer]) -> "Interactions":
        """The interactions of some users, who are numbered anew by their place in ``users``.

        Raises:
            IndexError: there is no such user number.
        """
        chosen = np.asarray(users, dtype=np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= self.num_users):
            raise IndexError(f"a user number is outside 0..{self.num_users - 1}")
        starts, counts = self.offsets[chosen], self.offsets[chosen + 1] - self.offsets[chosen]
        offsets = _offsets(counts)
        # Place of every item = start of its row + place within the row, without a Python loop.
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return Interactions(offsets, self.items[places], self.num_items)

    def joined(self, other: "Interactions") -> "Interactions":
        """The items of both, row by row, those of ``other`` behind; what both have stands twice."""
        assert (self.num_users, self.num_items) == (other.num_users, other.num_items)
        if not len(other):
            return self
        items = np.empty(len(self) + len(other), dtype=np.int32)
        items[np.arange(len(self)) + np.repeat(other.offsets[:-1], self.counts())] = self.items
        items[np.arange(len(other)) + np.repeat(self.offsets[1:], other.counts())] = other.items
        return Interactions(self.offsets + other.offsets, items, self.num_items)

    def where(self, kept: NDArray[np.bool_]) -> "Interactions":
        """Only the interactions marked in ``kept`` (``bool[n]``); users and order stay."""
        assert kept.shape == self.items.shape, (kept.shape, self.items.shape)
        kept_before = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        return Interactions(kept_before[self.offsets], self.items[kept], self.num_items)


def newest_once(history: Iterable[int]) -> list[int]:
    """A history, oldest first, with each item only at its newest place, as in prepared data."""
    return list(dict.fromkeys(reversed(list(history))))[::-1]


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
