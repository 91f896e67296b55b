"""Conditions on the items' attributes: ``genres=Comedy``, ``price<20``, ``year!=1990``."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from unicodedata import normalize

from cllm4rec.data.arguments import is_text, shown
from cllm4rec.errors import InputError, shortened

Where = Mapping[str, str | float] | Sequence[str]
"""Attribute → value that it has; or conditions as one writes them, such as ``["price<20"]``."""

_OPERATOR = re.compile(r"!=|<=|>=|<|>|=")
_SIGN = re.compile(r"[!<>=]")
_WRITTEN = re.compile(rf"(?:({_OPERATOR.pattern})|!\s*({_OPERATOR.pattern})?)\s*(.+)", re.DOTALL)
"""A value with an operator before it, which may be negated: ``<20``, ``!>5``, ``!a``."""

_SLIPS = {
    "=>": ">=", "=<": "<=", "==": "=", "!==": "!=", "<==": "<=", ">==": ">=", "<>": "!=",
    "!=>": "<=", "!=<": ">=",
}  # fmt: skip
"""Operator and the first sign of its value → the operator that was likely meant."""
_NEGATED = {"=": "!=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
"""Operator → what it means after ``!``."""


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """What an item has to meet.

    Attributes:
        column: name of the attribute.
        operator: ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
        value: as given.
    """

    column: str
    operator: str
    value: str

    @property
    def said(self) -> str:
        """It as one writes it, in a line."""
        return one_line(f"{self.column}{self.operator}{self.value}")

    def likely_meant(self, columns: Collection[str]) -> Self | None:
        """What ``price=>5``, ``price==5`` or ``price!>5`` is a slip for; None where it is none.

        Args:
            columns: that there are.
        """
        if self.column not in columns:
            column = self.column.removesuffix("!").rstrip()
            operator, value = _NEGATED.get(self.operator), self.value
            if column == self.column or column not in columns:
                return None
        else:
            column, value = self.column, self.value.strip()
            operator, value = _SLIPS.get(self.operator + value[:1]), value.lstrip("<>=")
        return type(self)(column, operator, value) if operator and value.strip() else None

    def likely_written(self, columns: Collection[str]) -> Self | None:
        """What ``{"price": "<20"}`` is a slip for: ``price<20``; None where it is none.

        Args:
            columns: that there are.
        """
        found = _WRITTEN.match(self.value.strip())
        if found is None or self.column not in columns:
            return None
        sign, negated, value = found.groups()
        operator = sign or _NEGATED.get(negated, "!=")
        written = type(self)(self.column, operator, value)
        return written.likely_meant(columns) or written


def conditions(where: Where | None, columns: Collection[str] = ()) -> list[Condition]:
    """The conditions that an item has to meet, all of them.

    Args:
        where: as given.
        columns: that there are, for names with an operator in them and names with letters that
            Unicode has two ways to write (NFC, NFD).

    Raises:
        InputError: a text is no condition, or a column is to have two values.
    """
    given = {normalize("NFC", column): column for column in columns}
    if isinstance(where, Mapping):
        return [
            Condition(given.get(normalize("NFC", column), column), "=", str(value))
            for column, value in where.items()
        ]
    found = [_read(text, given) for text in where or ()]
    equal = [each.column for each in found if each.operator == "="]
    for column in equal:
        if equal.count(column) > 1:
            raise InputError(
                f"where: {shown(column)} is given twice by =; an item has to meet each condition"
            )
    return found


def recorded(where: Where | None) -> Any:
    """Conditions as JSON, equal for those that mean the same; None without any."""
    found = sorted(conditions(where))
    if all(each.operator == "=" for each in found):
        return {each.column: each.value for each in found} or None
    return sorted({f"{each.column}{each.operator}{each.value.strip()}" for each in found})


def one_line(value: str) -> str:
    """A text as a message shows it: in a line of at most 40 characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in value)
    return shortened(" ".join(printable.split()), 40)


def _read(text: str, given: Mapping[str, str]) -> Condition:
    """A condition on one of the columns ``given``, NFC → name, or on an unknown one."""
    said = normalize("NFC", text).lstrip()
    # A column's name may have an operator in it.
    signed = [name for name in given if said.startswith(name) and _SIGN.search(name)]
    for name in sorted(signed, key=len, reverse=True):
        rest = said[len(name) :].lstrip()
        if found := _OPERATOR.match(rest):
            return Condition(given[name], found[0], rest[found.end() :])
    found = _OPERATOR.search(said, 1)
    if found is None or not is_text(said):
        raise InputError(
            f"where: {shown(text)} is no condition; give COLUMN=VALUE, or !=, <, <=, > or >= in "
            f"the place of =, in a shell within quotes: 'price<20'"
        )
    column = said[: found.start()].rstrip()
    return Condition(given.get(column, column), found[0], said[found.end() :])
