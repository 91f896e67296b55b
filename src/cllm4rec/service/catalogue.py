"""Items and users by their outside names: titles, attributes, type-ahead, filters."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.ids import IdMap
from cllm4rec.errors import InputError

MOST_MATCHES = 10_000
"""Titles that are looked at for one type-ahead query."""


class Attribute(NamedTuple):
    """One column of ``items.*``: each item's place among the distinct values, −1 for none."""

    codes: NDArray[np.int32]
    values: list[str]
    places: dict[str, int]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of the items, in memory.

    Attributes:
        items: item ids ↔ numbers.
        users: user ids ↔ numbers.
        ids: every item's id.
        titles: one title, or None, per item.
        texts: one description, or None, per item.
        attributes: by column name.
        counts: training interactions, ``int64 [items]``.
    """

    items: IdMap
    users: IdMap
    ids: list[str]
    titles: list[str | None]
    texts: list[str | None]
    attributes: dict[str, Attribute]
    counts: NDArray[np.int64]
    _numbers: dict[str, int]
    _folded: str
    _starts: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset) -> "Catalogue":
        """Read a run's item tables once."""
        titles = dataset.texts.item_titles
        ids: list[str] = dataset.items.external.to_pylist()
        folded = [" ".join((title or "").casefold().split()) for title in titles]
        lengths = np.fromiter((len(title) + 1 for title in folded), np.int64, len(folded))
        return cls(
            dataset.items,
            dataset.users,
            ids,
            titles,
            dataset.texts.item_texts,
            {name: _attribute(values) for name, values in dataset.texts.item_features.items()},
            dataset.part("train").item_counts(),
            dict(zip(ids, range(len(ids)), strict=True)),
            # One text, searched at the speed of str.find; every title begins after a line feed.
            "\n" + "\n".join(folded),
            np.concatenate([[1], 1 + np.cumsum(lengths)]),
        )

    def item_numbers(self, ids: Sequence[str]) -> list[int]:
        """The numbers of item ids; a dictionary, for `IdMap` looks at every id for each call.

        Raises:
            UnknownId: names the first id that is not known.
        """
        try:
            return [self._numbers[item_id] for item_id in ids]
        except KeyError as error:
            return [self.items.number(error.args[0])]  # raises, in the usual words

    def user_numbers(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """The numbers of user ids, ``int32 [len(ids)]``.

        Raises:
            UnknownId: names the first id that is not known.
        """
        return np.array([self.users.number(user_id) for user_id in ids], np.int32)

    def attributes_of(self, item: int) -> dict[str, str | None]:
        """An item's value of every column."""
        found: dict[str, str | None] = {}
        for name, attribute in self.attributes.items():
            code = int(attribute.codes[item])
            found[name] = None if code < 0 else attribute.values[code]
        return found

    def allowed(
        self,
        include: Sequence[str] | None,
        exclude: Sequence[str] | None,
        where: Mapping[str, str] | None,
    ) -> NDArray[np.bool_] | None:
        """Items that pass the filters, ``bool [items]``; None where there is no filter.

        Raises:
            UnknownId: an item that is not in the catalogue.
            InputError: a column that ``items.*`` does not have.
        """
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
            attribute = self.attributes[name]
            # No item has code −2: a value that never occurs allows nothing.
            allowed &= attribute.codes == attribute.places.get(value, -2)
        return allowed

    def search(self, query: str, limit: int) -> list[int]:
        """Items whose titles hold every word of ``query``, whatever the case.

        Titles that begin with the query come first, then those with a word that does, then the
        rest; within each, items with more interactions first. Where more than ``MOST_MATCHES``
        titles match, the first of the catalogue are looked at.
        """
        folded = " ".join(query.casefold().split())
        words = sorted(folded.split(" "), key=len, reverse=True)
        found: dict[int, int] = {}
        for item in self._titles_with("\n" + folded):
            found[item] = 0
        for item in self._titles_with(words[0]):
            if item not in found and self.titles[item]:
                title = self._folded[self._starts[item] - 1 : self._starts[item + 1] - 1]
                if all(word in title for word in words):
                    found[item] = 1 if " " + folded in title else 2
        best = sorted(found, key=lambda item: (found[item], -self.counts[item], item))
        return best[:limit]

    def users_with(self, prefix: str, limit: int) -> list[str]:
        """Known user ids that begin with ``prefix``, in their order."""
        external = self.users.external
        start = bisect_left(range(len(external)), prefix, key=lambda at: external[at].as_py())
        block: list[str] = external[start : start + limit].to_pylist()
        return [user_id for user_id in block if user_id.startswith(prefix)]

    def _titles_with(self, text: str) -> Iterator[int]:
        """Numbers of the titles that hold ``text``, each once, ascending."""
        at, matches = self._folded.find(text), 0
        while at >= 0 and matches < MOST_MATCHES and text.strip():
            begins = at + 1 if text[0] == "\n" else at
            item = int(np.searchsorted(self._starts, begins, side="right")) - 1
            yield item
            matches += 1
            at = self._folded.find(text, int(self._starts[item + 1]) - 1)


def _attribute(values: list[str | None]) -> Attribute:
    distinct = sorted({value for value in values if value is not None})
    places = {value: code for code, value in enumerate(distinct)}
    codes = [-1 if value is None else places[value] for value in values]
    return Attribute(np.array(codes, np.int32), distinct, places)


def _short(name: str) -> str:
    shown = ascii(name)
    return shown if len(shown) <= 80 else shown[:79] + "…"
