"""Rows of items in memory: what was said of items that were added to a catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ITEMS, ATTRIBUTES = "items.parquet", "attributes.parquet"
_STANDARD = ("item_id", "title", "text")


@dataclass(frozen=True, slots=True, eq=False)
class ItemRows:
    """Items by id, with what ``items.*`` said of them.

    Attributes:
        ids: sorted by code point, each once.
        titles: one title, or None, per item.
        texts: one description, or None, per item.
        features: column → one value, or None, per item.
        attributes: column → values as they came, or None, per item.
    """

    ids: list[str]
    titles: list[str | None]
    texts: list[str | None]
    features: Mapping[str, list[str | None]]
    attributes: Mapping[str, list[list[str] | None]]

    def __len__(self) -> int:
        return len(self.ids)

    def feature(self, name: str) -> list[str | None]:
        """A feature's values; nothing where these rows have no such column."""
        return self.features.get(name, [None] * len(self))

    def attribute(self, name: str) -> list[list[str] | None]:
        """An attribute's values; nothing where these rows have no such column."""
        return self.attributes.get(name, [None] * len(self))

    def words(self, features: Sequence[str]) -> list[str]:
        """All words about each item: title, text and these features, joined by ``". "``."""
        return joined(self.titles, self.texts, *map(self.feature, features))

    def taken(self, places: Sequence[int]) -> "ItemRows":
        """Some of the rows, which stand in ascending order."""
        return ItemRows(
            [self.ids[at] for at in places],
            [self.titles[at] for at in places],
            [self.texts[at] for at in places],
            {name: [values[at] for at in places] for name, values in self.features.items()},
            {name: [values[at] for at in places] for name, values in self.attributes.items()},
        )

    def merged(self, other: "ItemRows") -> tuple["ItemRows", list[int]]:
        """Both, sorted by id, and each row's place in the two one after the other."""
        ids = self.ids + other.ids
        order = sorted(range(len(ids)), key=ids.__getitem__)
        both = ItemRows(
            ids,
            self.titles + other.titles,
            self.texts + other.texts,
            {name: self.feature(name) + other.feature(name) for name in _names(self, other)[0]},
            {name: self.attribute(name) + other.attribute(name) for name in _names(self, other)[1]},
        )
        return both.taken(order), order

    def write(self, folder: Path) -> None:
        """Write ``items.parquet`` and ``attributes.parquet``, as in prepared data."""
        texts = pa.large_string()
        columns: dict[str, Any] = {"item_id": self.ids, "title": self.titles, "text": self.texts}
        columns |= {name: self.features[name] for name in sorted(self.features)}
        arrays = {name: pa.array(values, texts) for name, values in columns.items()}
        pq.write_table(pa.table(arrays), folder / ITEMS, compression="zstd")
        lists = {"item_id": arrays["item_id"]}
        for name in sorted(self.attributes):
            lists[name] = pa.array(self.attributes[name], pa.large_list(texts))
        pq.write_table(pa.table(lists), folder / ATTRIBUTES, compression="zstd")

    @classmethod
    def read(cls, folder: Path) -> "ItemRows":
        """Undo `write`."""
        columns = pq.read_table(folder / ITEMS).to_pydict()
        lists = pq.read_table(folder / ATTRIBUTES).to_pydict()
        features = {name: each for name, each in columns.items() if name not in _STANDARD}
        attributes = {name: each for name, each in lists.items() if name != "item_id"}
        ids, titles, texts = (columns[name] for name in _STANDARD)
        return cls(ids, titles, texts, features, attributes)


def joined(*columns: Sequence[str | None]) -> list[str]:
    """What columns say of each row, joined by ``". "``; empty where they say nothing."""
    return [". ".join(filter(None, values)) for values in zip(*columns, strict=True)]


NO_ROWS = ItemRows([], [], [], {}, {})


def _names(first: ItemRows, second: ItemRows) -> tuple[list[str], list[str]]:
    return (
        sorted(first.features.keys() | second.features.keys()),
        sorted(first.attributes.keys() | second.attributes.keys()),
    )
