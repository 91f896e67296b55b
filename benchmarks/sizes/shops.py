"""A shop at several sizes: the users that it has, and others whose lists are measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.seeds import generator

ORDERS = 3
"""Random orders of the users."""
FIRST = 25
"""Users of the smallest shop; the next has twice as many."""
MOST = 400
"""Of the largest: the eigenvectors of more take minutes."""
HELD_OUT = 0.2
"""Of what a user has, to be found."""
MOST_ASKED = {"valid": 300, "test": 1_500}

Part = Literal["valid", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Users whose lists are measured.

    Attributes:
        history: what a list is made from.
        relevant: what it should have; as many rows.
    """

    history: Interactions
    relevant: Interactions


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """One order of a log's users.

    Attributes:
        seed: of the order.
        pool: histories of those who may be customers, in the order in which they come.
        asked: those who never are, by part.
    """

    seed: int
    pool: Interactions
    asked: dict[Part, Asked]

    @classmethod
    def of(cls, log: Interactions, seed: int) -> "Shop":
        """A fifth of the users, at most 1,500, are test, a tenth, at most 300, validation.

        Args:
            log: all interactions; users of one item are left out.
            seed: of the order, and of what is held out.
        """
        users = np.flatnonzero(log.counts() > 1)
        order = generator(seed, "log size").permutation(users)
        test = min(len(order) // 5, MOST_ASKED["test"])
        valid = test + min(len(order) // 10, MOST_ASKED["valid"])
        parts: dict[Part, NDArray[np.int64]] = {"test": order[:test], "valid": order[test:valid]}
        asked = {part: _divided(log.rows(of), seed, part) for part, of in parts.items()}
        return cls(seed, log.rows(order[valid:]), asked)

    def sizes(self) -> Iterator[int]:
        """Numbers of customers, each twice the one before; the last has all there are."""
        most = min(self.pool.num_users, MOST)
        size = FIRST
        while size < most:
            yield size
            size *= 2
        yield most


def _divided(rows: Interactions, seed: int, part: Part) -> Asked:
    """Hold out a fifth of each row, one item at least, and leave one at least."""
    random = generator(seed, "log size", part)
    held = np.zeros(len(rows.items), bool)
    for start, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
        many = max(1, round(HELD_OUT * (end - start)))
        held[start + random.choice(end - start, many, replace=False)] = True
    return Asked(rows.where(~held), rows.where(held))
