"""Values that can be compared: numbers, and dates or times."""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.input_file import ISO_DAY, ISO_OFFSET, ISO_TIME
from cllm4rec.recommender.elements import elements

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?", re.ASCII)
"""With an exponent that `Decimal` takes."""
_TIME = re.compile(rf"({ISO_DAY}(?:{ISO_TIME})?)({ISO_OFFSET})?", re.ASCII)
_PERIOD = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?", re.ASCII)
"""A year, a month or a day."""


def number_of(text: str) -> float | None:
    """A number with a decimal point; None for anything else, and for what is not finite."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def seconds_of(text: str) -> float | None:
    """Unix seconds of an ISO date or time, UTC where it has no offset; None for anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    offset = (found[2] or "").strip().replace("UTC", "Z")
    try:
        time = datetime.fromisoformat(found[1] + offset)
    except ValueError:  # the 31st of February
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


_READ: Mapping[str, Callable[[str], float | None]] = {"number": number_of, "date": seconds_of}
"""Kind → what a text of it is worth."""
_EXACT: Mapping[str, Callable[[str], Any]] = {"number": Decimal, "date": seconds_of}
"""Kind → what tells those apart that are worth the same: whole numbers above 2**53."""


@dataclass(frozen=True, eq=False)
class Scale:
    """The values of an attribute whose items mostly have numbers, or dates.

    Attributes:
        kind: ``"number"`` or ``"date"``.
        items: item numbers ``int64 [values]``, in the order of the values; one may have several.
        values: ``float64 [values]``, ascending; of dates unix seconds.
        texts: the values as they were given, ascending as exact numbers.
        unread: how many items have a value, and none that reads as the kind.
    """

    kind: str
    items: NDArray[np.int64]
    values: NDArray[np.float64]
    texts: Sequence[str]
    unread: int

    @property
    def lowest(self) -> str:
        """The lowest value as it was given."""
        return self.texts[0]

    @property
    def highest(self) -> str:
        """The highest value as it was given."""
        return self.texts[-1]

    @classmethod
    def of(cls, column: Sequence[Sequence[str] | None]) -> Self | None:
        """The scale of an attribute; None where no kind is that of most items with a value.

        Args:
            column: values by item number, as of `cllm4rec.recommender.attributes.Attribute`;
                of a list written as text, and of one that ``|`` separates, each element is one.
        """
        given = sum(1 for values in column if values)
        for kind, read in _READ.items():
            items: list[int] = []
            values: list[float] = []
            texts: list[str] = []
            holders = unread = 0
            for item, of_item in enumerate(column):
                before = len(items)
                for text in _parts(of_item or ()):
                    if (value := read(text)) is not None:
                        items.append(item)
                        values.append(value)
                        texts.append(text)
                holders += len(items) > before
                unread += bool(of_item) and len(items) == before
                if 2 * unread >= given:  # whatever follows
                    break
            if 2 * holders > given:
                found = np.array(values, np.float64)
                order = _ascending(found, texts, _EXACT[kind])
                numbers, ordered = np.array(items, np.int64), [texts[at] for at in order.tolist()]
                return cls(kind, numbers[order], found[order], ordered, given - holders)
        return None

    def passing(self, operator: str, value: str) -> NDArray[np.int64] | None:
        """Items of which a value passes, once for each that does; None if ``value`` is none.

        Args:
            operator: ``<``, ``<=``, ``>``, ``>=`` or ``=``.
            value: to compare with; in dates also a year, a month or a day, which times fall into.
        """
        span = self._span(value.strip())
        if span is None:
            return None
        start, end = span
        passing = {
            "<": slice(0, start),
            "<=": slice(0, end),
            ">": slice(end, None),
            ">=": slice(start, None),
            "=": slice(start, end),
        }[operator]
        return self.items[passing]

    def _span(self, value: str) -> tuple[int, int] | None:
        """The places of the values that one covers: the first, and the one after the last."""
        if self.kind == "date" and _PERIOD.fullmatch(value):
            try:
                period = np.datetime64(value)
            except ValueError:
                return None
            ends = [each.astype("datetime64[s]").astype(float) for each in (period, period + 1)]
            first, after = np.searchsorted(self.values, ends).tolist()
            return first, after
        worth = _READ[self.kind](value)
        if worth is None:
            return None
        low, high = (int(np.searchsorted(self.values, worth, side)) for side in ("left", "right"))
        exact = _EXACT[self.kind]
        wanted = exact(value)
        return (
            bisect_left(self.texts, wanted, low, high, key=exact),
            bisect_right(self.texts, wanted, low, high, key=exact),
        )


def _ascending(
    values: NDArray[np.float64], texts: Sequence[str], exact: Callable[[str], Any]
) -> NDArray[np.int64]:
    """The order of values: as floats, and of those that are the same float as exact numbers."""
    order = np.argsort(values, kind="stable")
    _, starts, counts = np.unique(values[order], return_index=True, return_counts=True)
    several = counts > 1
    for start, count in zip(starts[several].tolist(), counts[several].tolist(), strict=True):
        same = order[start : start + count].tolist()
        different = {texts[at] for at in same}
        if len(different) > 1:
            worth = {text: exact(text) for text in different}
            order[start : start + count] = [
                at for _, at in sorted((worth[texts[at]], at) for at in same)
            ]
    return order


def _parts(values: Sequence[str]) -> list[str]:
    # Not at commas, which stand in numbers of some countries: 19,90 is no 19 and no 90.
    return [part for value in values for part in elements(value, "|")]
