"""Values that can be compared: numbers, and dates or times."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.input_file import ISO_DAY, ISO_OFFSET, ISO_TIME

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
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


@dataclass(frozen=True, eq=False)
class Scale:
    """The values of an attribute whose items mostly have numbers, or dates.

    Attributes:
        kind: ``"number"`` or ``"date"``.
        items: item numbers ``int64 [values]``, ascending; an item may have several.
        values: ``float64 [values]``; of dates unix seconds.
        unread: how many items have a value, and none that reads as the kind.
        lowest: the lowest value as it was given.
        highest: the highest.
    """

    kind: str
    items: NDArray[np.int64]
    values: NDArray[np.float64]
    unread: int
    lowest: str
    highest: str

    @classmethod
    def of(cls, column: Sequence[Sequence[str] | None]) -> Self | None:
        """The scale of an attribute; None where no kind is that of most items with a value.

        Args:
            column: values by item number, as of `cllm4rec.recommender.attributes.Attribute`;
                of a text that ``|`` separates, each part is one.
        """
        given = sum(1 for values in column if values)
        for kind, read in _READ.items():
            items, values, texts = [], [], []
            for item, of_item in enumerate(column):
                for text in _parts(of_item or ()):
                    if (value := read(text)) is not None:
                        items.append(item)
                        values.append(value)
                        texts.append(text)
            holders = len(set(items))
            if 2 * holders > given:
                found = np.array(values, np.float64)
                ends = texts[int(found.argmin())], texts[int(found.argmax())]
                return cls(kind, np.array(items, np.int64), found, given - holders, *ends)
        return None

    def passing(self, operator: str, value: str) -> NDArray[np.int64] | None:
        """Numbers of the items of which a value passes, ascending; None if ``value`` is no value.

        Args:
            operator: ``<``, ``<=``, ``>``, ``>=`` or ``=``.
            value: to compare with; in dates also a year, a month or a day, which times fall into.
        """
        span = self._span(value.strip())
        if span is None:
            return None
        start, end = span
        passes = {
            "<": self.values < start,
            "<=": self.values < end,
            ">": self.values >= end,
            ">=": self.values >= start,
            "=": (self.values >= start) & (self.values < end),
        }[operator]
        return np.unique(self.items[passes])

    def _span(self, value: str) -> tuple[float, float] | None:
        """What a value covers: from its start, which is in it, to its end, which is not."""
        if self.kind == "date" and _PERIOD.fullmatch(value):
            try:
                period = np.datetime64(value)
            except ValueError:
                return None
            start, end = (
                each.astype("datetime64[s]").astype(float) for each in (period, period + 1)
            )
            return float(start), float(end)
        worth = _READ[self.kind](value)
        return None if worth is None else (worth, float(np.nextafter(worth, np.inf)))


def _parts(values: Sequence[str]) -> list[str]:
    # Not at commas, which stand in numbers of some countries: 19,90 is no 19 and no 90.
    return [part.strip() for value in values for part in value.split("|")]
