"""The layout of token ids; the only offsets in the program."""

import math
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

ANONYMOUS: Final = -1
"""Placeholder user of a document that ends in a question. Embedded as the mean of its items."""

NOBODY: Final = -2
"""Placeholder user of an autoregressive document. Embedded as zeros: a mean would leak targets."""

Numbers = TypeVar("Numbers")
"""An int, or a numpy array or a tensor of integers; what comes back is of the same kind."""


@dataclass(frozen=True, slots=True)
class TokenSpace:
    """Token ids laid out as ``[words | users | items]`` (paper section 3.1).

    Only this class adds offsets. Every method takes an int, an array or a tensor of integers.

    Args:
        num_words: rows of the backbone's word embeddings.
        num_users: users with an embedding.
        num_items: items of the catalogue.
    """

    num_words: int
    num_users: int
    num_items: int

    def __post_init__(self) -> None:
        if min(self.num_words, self.num_users, self.num_items) < 0:
            raise ValueError(f"a negative count in {self}")
        if self.size > np.iinfo(np.int32).max:
            raise ValueError(f"{self.size} tokens in {self}: token ids are 32 bits wide")

    @property
    def size(self) -> int:
        """Number of token ids."""
        return self.num_words + self.num_users + self.num_items

    def user(self, number: Numbers) -> Numbers:
        """Tokens of user numbers.

        Raises:
            ValueError: a number outside ``[0, num_users)``.
        """
        return _shifted(number, 0, self.num_users, self.num_words, "user number")

    def item(self, number: Numbers) -> Numbers:
        """Tokens of item numbers.

        Raises:
            ValueError: a number outside ``[0, num_items)``.
        """
        return _shifted(number, 0, self.num_items, self.num_words + self.num_users, "item number")

    def user_number(self, token: Numbers) -> Numbers:
        """User numbers of user tokens.

        Raises:
            ValueError: not a user token.
        """
        return _shifted(token, self.num_words, self.num_users, -self.num_words, "user token")

    def item_number(self, token: Numbers) -> Numbers:
        """Item numbers of item tokens.

        Raises:
            ValueError: not an item token.
        """
        first = self.num_words + self.num_users
        return _shifted(token, first, self.num_items, -first, "item token")

    def num_entities(self, tokens: Any) -> int:
        """Number of user and item tokens.

        Words, padding (a word), ``ANONYMOUS`` and ``NOBODY`` are neither.
        """
        return int((tokens >= self.num_words).sum())

    def is_word(self, token: Any) -> Any:
        """Whether each token is a word, as a bool or an array of bools."""
        return (token >= 0) & (token < self.num_words)

    def is_user(self, token: Any) -> Any:
        """Whether each token is a user; ``ANONYMOUS`` and ``NOBODY`` are not."""
        return (token >= self.num_words) & (token < self.num_words + self.num_users)

    def is_item(self, token: Any) -> Any:
        """Whether each token is an item."""
        return (token >= self.num_words + self.num_users) & (token < self.size)


def _shifted(given: Numbers, first: int, count: int, offset: int, what: str) -> Numbers:
    """``given + offset``, all of ``given`` being in ``[first, first + count)``."""
    values: Any = given
    if isinstance(values, int):
        low = high = values
    elif math.prod(values.shape) == 0:
        return given
    elif getattr(values, "device", "cpu") != "cpu" and values.device.type != "cpu":
        shifted_there: Numbers = values + offset  # to look would be to wait for the device
        return shifted_there
    else:
        low, high = values.min(), values.max()
    if low < first or high >= first + count:
        wrong = int(low if low < first else high)
        raise ValueError(f"{what} {wrong} is not in [{first}, {first + count})")
    shifted: Numbers = values + offset
    return shifted
