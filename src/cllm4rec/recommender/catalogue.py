"""The catalogue by its outside names: ids, titles, attributes, and the filters of a list."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.ids import IdMap
from cllm4rec.errors import InputError


@dataclass(frozen=True)
class Filters:
    """What a list may hold.

    Attributes:
        include: only these items; None for all.
        exclude: none of these items.
        where: only items whose attributes have these values; see :class:`Attribute`.
        seen: whether items of the history may be listed.
    """

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    where: Mapping[str, str] | None = None
    seen: bool = False


class Attribute:
    """One further column of ``items.*``.

    A value is matched exactly, blanks around it aside: as a whole, or as one of its parts. The
    parts of a list are its elements; those of a text stand between ``|`` or commas. So
    ``Action|Comedy`` is found by ``Action``, ``Comedy`` and ``Action|Comedy``, not by ``Act``.

    Args:
        values: each item's, in the order of the numbers; None for none.
    """

    def __init__(self, values: Sequence[Sequence[str] | None]) -> None:
        self._values = values

    def of(self, item: int) -> str | None:
        """An item's value as one text; the elements of a list are joined by commas."""
        value = self._values[item]
        return None if value is None else ", ".join(value)

    def matching(self, value: str) -> NDArray[np.int64]:
        """Numbers of the items that have a value, ascending."""
        codes, starts, items = self._index
        code = codes.get(value.strip())
        return items[:0] if code is None else items[starts[code] : starts[code + 1]]

    @cached_property
    def _index(self) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int64]]:
        """Name → code; where each code's items begin; the items, by code."""
        codes: dict[str, int] = {}
        found, items = array("q"), array("q")
        for item, values in enumerate(self._values):
            for name in dict.fromkeys(_names(values)) if values else ():
                found.append(codes.setdefault(name, len(codes)))
                items.append(item)
        by_code = np.array(found, np.int64)
        order = np.argsort(by_code, kind="stable")
        starts = np.searchsorted(by_code[order], np.arange(len(codes) + 1))
        return codes, starts, np.array(items, np.int64)[order]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of the items, read at its first use and kept.

    Attributes:
        dataset: the run's data.
    """

    dataset: Dataset

    @property
    def items(self) -> IdMap:
        """Item ids ↔ numbers."""
        return self.dataset.items

    @cached_property
    def ids(self) -> list[str]:
        """Every item's id."""
        ids: list[str] = self.items.external.to_pylist()
        return ids

    @cached_property
    def titles(self) -> list[str | None]:
        """One title, or None, per item."""
        return self.dataset.texts.item_titles

    @cached_property
    def texts(self) -> list[str | None]:
        """One description, or None, per item."""
        return self.dataset.texts.item_texts

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Training interactions, ``int64 [items]``."""
        return self.dataset.part("train").item_counts()

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The further columns of ``items.*``, by name."""
        columns = self.dataset.texts.item_attributes
        return {name: Attribute(values) for name, values in columns.items()}

    def attributes_of(self, item: int) -> dict[str, str | None]:
        """An item's value of every attribute."""
        return {name: attribute.of(item) for name, attribute in self.attributes.items()}

    def named(self, item: int) -> dict[str, str | None]:
        """An item's id and title."""
        return {"item_id": self.ids[item], "title": self.titles[item]}

    def item_numbers(self, ids: Sequence[str]) -> list[int]:
        """The numbers of item ids; a dictionary, for `IdMap` looks at every id for each call.

        Raises:
            UnknownId: names the first id that is not known.
        """
        try:
            return [self._numbers[item_id] for item_id in ids]
        except (KeyError, TypeError):
            return [self.items.number(item_id) for item_id in ids]  # raises, in the usual words

    def allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Items that pass the filters, ``bool [items]``; None where there is no filter.

        Raises:
            UnknownId: an item that is not in the catalogue.
            InputError: a column that ``items.*`` does not have.
        """
        include, exclude, where = filters.include, filters.exclude, filters.where
        if include is None and not exclude and not where:
            return None
        allowed = np.full(len(self.items), include is None)
        if include:
            allowed[self.item_numbers(include)] = True
        if exclude:
            allowed[self.item_numbers(exclude)] = False
        for name, value in (where or {}).items():
            if name not in self.attributes:
                known = ", ".join(self.attributes) or "none"
                raise InputError(f"where: items have no column {_short(name)}; there are: {known}")
            matching = np.zeros(len(allowed), bool)
            matching[self.attributes[name].matching(value)] = True
            allowed &= matching
        return allowed

    def warm(self) -> None:
        """Read everything now, so that no request is the first."""
        assert len(self._numbers) == len(self.titles) == len(self.texts) == len(self.counts)
        for attribute in self.attributes.values():
            attribute.matching("")

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return dict(zip(self.ids, range(len(self.ids)), strict=True))


def _names(values: Sequence[str]) -> Iterator[str]:
    """What finds an item that has these values."""
    yield ", ".join(values).strip()
    for value in values:
        yield value.strip()
        yield from filter(None, map(str.strip, value.replace("|", ",").split(",")))


def _short(name: str) -> str:
    short = ascii(name)
    return short if len(short) <= 80 else short[:79] + "…"
