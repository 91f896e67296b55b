"""An attribute of the items, and which of them meet a condition on it."""

import re
from array import array
from collections.abc import Sequence
from functools import cached_property
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.input_file import DECIMAL_COMMA
from cllm4rec.errors import InputError
from cllm4rec.recommender.conditions import Condition, one_line
from cllm4rec.recommender.elements import elements
from cllm4rec.recommender.scales import Scale

_DECIMAL_COMMA = re.compile(DECIMAL_COMMA, re.ASCII)
SHOWN = 8
"""Values of a column that a line names."""


class Attribute:
    """An additional column of ``items.*``.

    A filter value must equal, apart from surrounding blanks, the whole value or one of its
    elements: elements of a list, or pieces of text separated by ``|`` or commas; where most items
    have a decimal comma, by ``|`` alone; a list written as text, ``['Action', 'Comedy']``, is one.
    ``Action``, ``Comedy`` and ``Action|Comedy`` all match ``Action|Comedy``; ``Act`` does not. The
    é of one character and that of two are the same (NFC). Where most items have a number, or a
    date, values are compared as such too.

    Args:
        values: by item number; None for a missing value.
    """

    def __init__(self, values: Sequence[Sequence[str] | None]) -> None:
        self._values = values

    def of(self, item: int) -> str | None:
        """An item's value as one string; list elements are joined by commas."""
        value = self._values[item]
        return None if value is None else ", ".join(value)

    def elements_of(self, item: int) -> list[str]:
        """An item's values one by one, each once; none where it has no value."""
        values = self._values[item] or ()
        return list(dict.fromkeys(e for each in values for e in elements(each, self._separators)))

    def matching(self, value: str) -> NDArray[np.int64]:
        """Numbers of the items that have a value, letter by letter, each once."""
        codes, starts, items, _ = self._index
        code = codes.get(normalize("NFC", value.strip()))
        return items[:0] if code is None else items[starts[code] : starts[code + 1]]

    def meeting(self, condition: Condition) -> NDArray[np.bool_]:
        """The items that meet a condition, ``bool [items]``; none of those without a value.

        Among numbers or dates the same in other letters is equal too: 20.50 and 20.5.

        Raises:
            InputError: ``<`` and the like where values are texts, or beside something else than
                the values are.
        """
        if condition.operator == "=":
            return self._equal(condition.value)
        if condition.operator == "!=":
            return self._given & ~self._equal(condition.value)
        column, said = one_line(condition.column), f"where {condition.said}"
        if not self._given.any():
            return self._given
        if self.scale is None:
            example = one_line(self.frequent(1)[0])
            if (comma := self._decimal_comma()) is not None:
                raise InputError(
                    f"{said}: {column} has decimal commas, such as {comma!r}; write a decimal "
                    f"point, and prepare again"
                )
            raise InputError(
                f"{said}: {column} is text, such as {example!r}; compare it by = or !=, or have "
                f"numbers or whole dates, such as 2024-05-01, in it"
            )
        found = self.scale.passing(condition.operator, condition.value)
        if found is None:
            raise InputError(
                f"{said}: {column} has {self.scale.kind}s; give a {self.scale.kind}, such as "
                f"{column}{condition.operator}{one_line(self.scale.highest)}"
            )
        return self._mask(found)

    def why_none(self, condition: Condition) -> str:
        """Why no item meets a condition, without its value but for other capitals."""
        name = one_line(condition.column)
        if condition.operator == "=":
            if (other := self._in_other_capitals(condition.value)) is not None:
                return f"none has that {name}; {one_line(other)!r} is there; capitals count"
            some = ", ".join(map(one_line, self.frequent(SHOWN))) or "none"
            return f"none has that {name}; frequent ones: {some}"
        if condition.operator == "!=" or self.scale is None:
            return f"none has another {name}" if self._given.any() else f"none has a {name}"
        ends = f"{one_line(self.scale.lowest)} to {one_line(self.scale.highest)}"
        return f"none has such a {name}; there are {ends}"

    def unread(self, condition: Condition) -> str | None:
        """How many items have a value that a range cannot be compared with; None if none."""
        if condition.operator in {"=", "!="} or self.scale is None or not self.scale.unread:
            return None
        number, kind = self.scale.unread, self.scale.kind
        items = "1 item has" if number == 1 else f"{number:,} items have"
        return (
            f"{items} a {one_line(condition.column)} that is no {kind}, and no range is met by it"
        )

    def warm(self) -> None:
        """Read everything now, so that the first condition is fast."""
        assert self.scale is None or self._given.sum() >= self.scale.unread
        self.matching("")

    def frequent(self, number: int) -> list[str]:
        """The elements that most items have, most frequent first; without any, whole values."""
        codes, starts, _, is_element = self._index
        order = np.argsort(-np.diff(starts), kind="stable")
        shown = order[is_element[order]] if is_element.any() else order
        values = list(codes)
        return [values[code] for code in shown[:number].tolist()]

    @cached_property
    def scale(self) -> Scale | None:
        """The values as numbers or dates; None where they are texts, or there is none."""
        return Scale.of(self._values)

    def _in_other_capitals(self, value: str) -> str | None:
        """The most frequent of the values that differ from this one in capitals alone."""
        codes, starts, _, _ = self._index
        wanted = normalize("NFC", value.strip()).lower()
        found = [name for name in codes if name.lower() == wanted]
        counts = np.diff(starts)
        return max(found, key=lambda name: int(counts[codes[name]]), default=None)

    def _decimal_comma(self) -> str | None:
        """A number with a decimal comma, where most items with a value have one."""
        some = [values[0] for values in self._values if values and len(values) == 1]
        found = [value for value in some if _DECIMAL_COMMA.fullmatch(value.strip())]
        return one_line(found[0]) if 2 * len(found) > int(self._given.sum()) else None

    @cached_property
    def _separators(self) -> str:
        """What separates the elements of a text."""
        return "|" if self._decimal_comma() else "|,"

    def _equal(self, value: str) -> NDArray[np.bool_]:
        found = self._mask(self.matching(value))
        same = None if self.scale is None else self.scale.passing("=", value)
        return found if same is None else found | self._mask(same)

    def _mask(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        # Without a sort: a service answers nobody else meanwhile.
        mask = np.zeros(len(self._values), bool)
        mask[items] = True
        return mask

    @cached_property
    def _given(self) -> NDArray[np.bool_]:
        """The items that have a value."""
        return np.fromiter(map(bool, self._values), bool, len(self._values))

    @cached_property
    def _index(
        self,
    ) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Name → code; start of each code's items; items sorted by code; which are elements."""
        codes: dict[str, int] = {}
        found, items, of_elements = array("q"), array("q"), set[int]()
        for item, values in enumerate(self._values):
            wholes, pieces = _names(values, self._separators) if values else ([], [])
            for name in dict.fromkeys([*wholes, *pieces]):
                found.append(codes.setdefault(name, len(codes)))
                items.append(item)
            of_elements.update([codes[name] for name in pieces])
        by_code = np.array(found, np.int64)
        order = np.argsort(by_code, kind="stable")
        starts = np.searchsorted(by_code[order], np.arange(len(codes) + 1))
        is_element = np.zeros(len(codes), bool)
        is_element[list(of_elements)] = True
        return codes, starts, np.array(items, np.int64)[order], is_element


def _names(values: Sequence[str], separators: str) -> tuple[list[str], list[str]]:
    """All filter values that match an item with these values, NFC: whole ones, and elements."""
    values = [normalize("NFC", value) for value in values]
    wholes = [", ".join(values).strip(), *(value.strip() for value in values)]
    # Once more: an escape in a list written as text, e\u0301, is a character only now.
    return wholes, [normalize("NFC", e) for value in values for e in elements(value, separators)]
