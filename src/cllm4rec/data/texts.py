"""Texts about users, items and training pairs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec.data.item_rows import NO_ROWS, ItemRows, joined
from cllm4rec.run import Opened

BATCH_ROWS = 8192
ITEMS = "items.parquet"
USERS = "users.parquet"
ATTRIBUTES = "attributes.parquet"
"""Attributes of the items: one column of lists of texts for each further column of ``items.*``."""

_ADDRESS = re.compile(r"\s*(https?://|www\.)", re.IGNORECASE)

ReviewBatch = tuple[NDArray[np.int32], NDArray[np.int32], list[str]]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of prepared data; every access reads the files, so keep lists that you use twice.

    An access raises IntegrityError where other data have taken their place.

    Attributes:
        opened: the folder of prepared data.
        added: items that were appended to the catalogue.
    """

    opened: Opened
    added: ItemRows = NO_ROWS

    @classmethod
    def of(cls, folder: Path) -> "Texts":
        """The texts of the data that are in a folder now."""
        return cls(Opened.of(folder, ITEMS))

    @property
    def item_titles(self) -> list[str | None]:
        """One title, or None, per item number."""
        return self._column(ITEMS, "title") + self.added.titles

    @property
    def item_texts(self) -> list[str | None]:
        """One description, or None, per item number."""
        return self._column(ITEMS, "text") + self.added.texts

    @property
    def item_features(self) -> dict[str, list[str | None]]:
        """Column → one value, or None, per item number; what title and text say is left out."""
        columns = self._features(ITEMS, {"item_id", "title", "text"})
        return {name: values + self.added.feature(name) for name, values in columns.items()}

    @property
    def item_attributes(self) -> dict[str, list[list[str] | None]]:
        """Column → values, or None, per item number, as they came; what items are filtered by."""
        columns = self._features(ATTRIBUTES, {"item_id"})
        return {name: values + self.added.attribute(name) for name, values in columns.items()}

    @property
    def word_features(self) -> dict[str, list[str | None]]:
        """Features that count among the words: all where few items have a text, else none.

        A bare title such as "Alien" says little; year and genres are then the better part, but no
        column of web addresses, whose parts are no words. Few are less than half of those that the
        data were prepared with, and so of web addresses: what is added changes nothing.
        """
        texts = self.item_texts
        prepared = len(texts) - len(self.added)
        if 2 * sum(map(bool, texts[:prepared])) >= max(1, prepared):
            return {}
        columns = self.item_features
        return {
            name: values for name, values in columns.items() if not _addresses(values[:prepared])
        }

    @property
    def user_features(self) -> dict[str, list[str | None]]:
        """Column → one value, or None, per user number."""
        return self._features(USERS, {"user_id"})

    def reviews(self) -> Iterator[ReviewBatch]:
        """Reviews of training pairs, streamed by user, then item.

        Yields:
            ``(users int32[n], items int32[n], n texts)``.
        """
        with self.opened.reading() as folder, pq.ParquetFile(folder / "reviews.parquet") as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["user", "item", "text"]):
                users, items, texts = batch.columns
                yield users.to_numpy(), items.to_numpy(), texts.to_pylist()

    def any(self) -> bool:
        """Whether anything is said in words about any user, item or training pair."""
        columns = [self.item_titles, self.item_texts]
        columns += [*self.item_features.values(), *self.user_features.values()]
        if any(text and text.strip() for column in columns for text in column):
            return True
        return any(text and text.strip() for _, _, texts in self.reviews() for text in texts)

    def described(self, features: Sequence[str]) -> list[str]:
        """Title, text and some features of each item, joined by ``". "``."""
        said = self.item_features if features else {}
        return joined(self.item_titles, self.item_texts, *(said[name] for name in features))

    def item_words(self) -> list[str]:
        """All words about each item, for models that read bags of words.

        Title and text, joined by ``". "``; if no item has either, the item's training reviews, one
        after the other. Empty where there is nothing.
        """
        words = self.described(())
        if any(words):
            return words
        reviews: list[list[str]] = [[] for _ in words]
        for _, items, texts in self.reviews():
            for item, text in zip(items.tolist(), texts, strict=True):
                reviews[item].append(text)
        return [" ".join(texts) for texts in reviews]

    def _column(self, name: str, column: str) -> list[Any]:
        with self.opened.reading() as folder:
            return _column(folder / name, column)

    def _features(self, name: str, others: set[str]) -> dict[str, list[Any]]:
        """The columns of a file but for some."""
        with self.opened.reading() as folder:
            names = [each for each in pq.read_schema(folder / name).names if each not in others]
            return {each: _column(folder / name, each) for each in names}


def _addresses(values: Sequence[str | None]) -> bool:
    """Whether more than half of the values given are web addresses."""
    given = [value for value in values if value and value.strip()]
    return 2 * sum(bool(_ADDRESS.match(value)) for value in given) > len(given)


def _column(path: Path, column: str) -> list[Any]:
    values: list[Any] = pq.read_table(path, columns=[column]).column(0).to_pylist()
    return values
