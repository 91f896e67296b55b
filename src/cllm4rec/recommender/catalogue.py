"""The catalogue: item ids, titles, attributes, and filters on them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.arguments import is_text, shown
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.ids import IdMap
from cllm4rec.errors import InputError, shortened
from cllm4rec.recommender.attributes import Attribute
from cllm4rec.recommender.conditions import Condition, Where, conditions, one_line, recorded

MOST_TITLED = 3
"""Ids that are named where a title was given for an id."""


@dataclass(frozen=True)
class Filters:
    """Filters on the items of a list.

    Attributes:
        include: list only these items; None for all.
        exclude: never list these items.
        where: list only items whose attributes meet these conditions, all of them; see `conditions`
            and `Attribute`.
        seen: whether to list what a user has had: the history, and what no part holds.
    """

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    where: Where | None = None
    seen: bool = False

    def record(self) -> dict[str, Any] | None:
        """What is filtered, as JSON: equal for filters that mean the same; None without any.

        Lists of ids, which may be long, stand as the sha256 of the sorted ids.
        """
        asked = {
            "include": None if self.include is None else _sha256(self.include),
            "exclude": _sha256(self.exclude) if self.exclude else None,
            "where": recorded(self.where),
            "seen": self.seen or None,
        }
        return {name: value for name, value in asked.items() if value is not None} or None


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Metadata of the items, read on first use and cached.

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
    def popularity(self) -> NDArray[np.float32]:
        """Logarithm of 1 + training interactions, ``float32 [items]``; the mean where none.

        Nobody could yet like an item that was added, so it must not stand last.
        """
        known = self.counts > 0
        logs = np.log1p(self.counts).astype(np.float32)
        mean = logs[known].mean() if known.any() else np.float32(0)
        return np.where(known, logs, mean)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The additional columns of ``items.*``, by name."""
        columns = self.dataset.texts.item_attributes
        return {name: Attribute(values) for name, values in columns.items()}

    def attributes_of(self, item: int) -> dict[str, str | None]:
        """An item's attribute values, by name."""
        return {name: attribute.of(item) for name, attribute in self.attributes.items()}

    def named(self, item: int) -> dict[str, str | None]:
        """An item's id and title."""
        return {"item_id": self.ids[item], "title": self.titles[item]}

    def item_numbers(self, ids: Sequence[str]) -> list[int]:
        """The numbers of item ids, by dictionary: each `IdMap` call would scan all ids.

        Raises:
            UnknownId: names the first unknown id, and the items of which it is the title.
        """
        try:
            return [self._numbers[item_id] for item_id in ids]
        except (KeyError, TypeError):
            for item_id in ids:
                if is_text(item_id) and item_id not in self._numbers:
                    raise self.items.unknown(item_id, self._titled(item_id)) from None
            return [self.items.number(item_id) for item_id in ids]  # raises UnknownId

    def known_numbers(self, ids: Sequence[str]) -> list[int]:
        """The numbers of those item ids that there are, in their order."""
        return [self._numbers[item_id] for item_id in ids if item_id in self._numbers]

    def _titled(self, title: str) -> str:
        """Which items have this title, in words; empty if none has."""
        wanted = title.strip().casefold()
        found = [n for n, own in enumerate(self.titles) if own and own.casefold() == wanted]
        if not wanted or not found:
            return ""
        first = ", ".join(shortened(repr(self.ids[item])) for item in found[:MOST_TITLED])
        more = f" and {len(found) - MOST_TITLED:,} more" if len(found) > MOST_TITLED else ""
        items = "item" if len(found) == 1 else "items"
        return f"this is the title of {items} {first}{more}; give the id"

    def unknown_note(self, ids: Sequence[str], of: str) -> str | None:
        """How many item ids are not known, in one line that repeats none; None if all are.

        Args:
            ids: as given.
            of: what they are of, such as ``"of the history"``.
        """
        missing = len(ids) - len(self.known_numbers(ids))
        if not missing:
            return None
        verb = "is" if missing == 1 else "are"
        return f"{missing:,} of {len(ids):,} items {of} {verb} not known and left aside"

    def allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Items that pass the filters, ``bool [items]``; None without filters.

        Unknown items are left aside: a shop's list of what is sold out is longer than a run's.

        Raises:
            UnknownId: no item of ``include`` is known.
            InputError: what stands in ``where`` is no condition, of an unknown column, or compares
                by ``<`` and the like what cannot be compared so.
        """
        include, exclude = filters.include, filters.exclude
        if include is None and not exclude and not filters.where:
            return None
        allowed = np.full(len(self.items), include is None)
        if include:
            allowed[self.known_numbers(include) or self.item_numbers(include)] = True
        if exclude:
            allowed[self.known_numbers(exclude)] = False
        for condition in self._conditions(filters):
            allowed &= self.attributes[condition.column].meeting(condition)
        return allowed

    def nothing_passes(self, filters: Filters, allowed: NDArray[np.bool_] | None) -> str | None:
        """Why filters leave no item, in one line that repeats no value given; None if some pass.

        Args:
            filters: as given.
            allowed: what `allowed` made of them.
        """
        if allowed is None or allowed.any():
            return None
        for condition in self._conditions(filters):
            attribute = self.attributes[condition.column]
            if not attribute.meeting(condition).any():
                return f"no item passes the filters: {attribute.why_none(condition)}"
        return "no item passes the filters: none meets all of them"

    def unread(self, filters: Filters) -> list[str]:
        """Items that ranges leave out because their value is no number or date, a line each."""
        found = self._conditions(filters)
        lines = (self.attributes[each.column].unread(each) for each in found)
        return list(dict.fromkeys(line for line in lines if line is not None))

    def warm(self) -> None:
        """Read everything now, so that the first request is fast."""
        assert len(self._numbers) == len(self.titles) == len(self.texts) == len(self.counts)
        for attribute in self.attributes.values():
            attribute.warm()

    def _conditions(self, filters: Filters) -> list[Condition]:
        """Those of the filters, each on a column that there is."""
        found = conditions(filters.where, self.attributes) if filters.where else []
        for each in found:
            self._refuse_slip(each, as_value=isinstance(filters.where, Mapping))
            if each.column not in self.attributes:
                known = ", ".join(self.attributes) or "none"
                raise InputError(
                    f"where: items have no column {shown(each.column)}; there are: {known}"
                )
        return found

    def _refuse_slip(self, condition: Condition, *, as_value: bool) -> None:
        """Refuse a likely slip, but where an item has just that value.

        Args:
            condition: on a column that there may not be.
            as_value: it was given as a column and its value, ``{"price": "<20"}``.
        """
        read = condition.likely_written if as_value else condition.likely_meant
        meant = read(self.attributes)
        if meant is None or (
            condition.column in self.attributes
            and len(self.attributes[condition.column].matching(condition.value))
        ):
            return
        if as_value:
            listed = json.dumps([meant.said], ensure_ascii=False)
            raise InputError(
                f"where: no item has the {one_line(condition.column)} {shown(condition.value)}; "
                f'write where={listed}, in HTTP "where": {listed}'
            )
        raise InputError(
            f"where {condition.said}: {meant.operator} is likely meant; write {meant.said}"
        )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return dict(zip(self.ids, range(len(self.ids)), strict=True))


def _sha256(ids: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(set(ids))).encode()).hexdigest()
