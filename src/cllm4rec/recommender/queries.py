"""Queries in words: items whose texts have the words of a query, or words that are read alike.

A language model reads each word of the catalogue once, when the first query asks for it. A query's
word stands for itself and for the words read most like it, by the square of their cosines; items
are then found by BM25. So "robots" also finds a text that says "android", and only words are read,
not texts. Items that have every word of the query are lifted, and an item whose title is the query,
or nearly, comes first.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from cllm4rec.data.arguments import shown
from cllm4rec.data.item_rows import NO_ROWS, ItemRows
from cllm4rec.errors import InputError
from cllm4rec.linear.folding import composed
from cllm4rec.linear.word_index import WordIndex
from cllm4rec.linear.words import cut_otherwise
from cllm4rec.recommender.beside_taste import WEIGHT, Scores, Wanted, weighed
from cllm4rec.recommender.titles import Titles
from cllm4rec.recommender.word_readings import WordReadings
from cllm4rec.run import read_json, write_json

if TYPE_CHECKING:
    from cllm4rec.models.reading import LoadedReader

NUMBERS, WORDS = "queries.safetensors", "queries.json"
"""Files of a ``model`` folder."""
ALIKE = 50
"""Catalogue words that a query's word may stand for, itself included."""
LEAST_COSINE = 0.5
"""With the nearest catalogue word, for a word that the catalogue has not: below, it is unknown."""
MAX_CHARACTERS, MAX_WORDS = 1000, 64
"""Of a query; further words are not read."""
MOST_WEIGHT = 1000.0
NO_WORDS = "the query has no words; give some, such as 'quiet family drama'"
NO_ITEM = "no item's text has a word of the query, or one that reads alike; use other words"
NOT_READ = (
    f"no item's text has one of the query's first {MAX_WORDS} words, or one that reads alike; "
    f"further words are not read: use fewer"
)
CUT_OTHERWISE = (
    "an earlier version trained this run and cut words otherwise in scripts without spaces or with "
    "vowel signs; train it again to ask in one"
)
LEFT_OUT = (
    "an earlier version trained this run and left out single characters and words such as fire, "
    "system and thin; train it again to ask for one"
)


@dataclass(frozen=True, eq=False)
class Queries:
    """What a run keeps to answer queries in words.

    Attributes:
        index: of the items' words.
        reader: settings of `cllm4rec.models.reading.Reader`; None: words stand for themselves.
        features: further columns of ``items.*`` that count among the words.
        folder: of the run, where readings of the words are kept; None to keep none.
        backbone_sha256: of the language model that reads.
        titles: of the items, one or None each; none where only words are asked for.
        further_terms: words at the end of the index that only items have which were added after the
            training; each is read when a query has it.
        instead: where readings are kept if the folder cannot be written; None for nowhere.
    """

    index: WordIndex
    reader: Mapping[str, Any] | None
    features: tuple[str, ...] = ()
    folder: Path | None = None
    backbone_sha256: str = ""
    titles: Sequence[str | None] = ()
    further_terms: int = 0
    instead: Path | None = None
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        reader: Mapping[str, Any] | None,
        features: tuple[str, ...] = (),
    ) -> "Queries | None":
        """Index texts; None where there are no words. Nothing is read yet.

        Args:
            texts: one per item, by item number; may be empty.
            reader: settings of the reader; None for words that stand for themselves alone.
            features: further columns of ``items.*`` that count among the words.
        """
        index = WordIndex.fit(texts)
        return cls(index, reader, features) if index.terms else None

    @property
    def readings(self) -> WordReadings:
        """Readings of the index's words; read at the first call, unless the run keeps them.

        Raises:
            InputError: the backbone cannot be found.
        """
        with self._lock:
            return self._readings

    def prepare(self) -> None:
        """Read words and titles now, so that the first query need not.

        Raises:
            InputError: the backbone cannot be found.
        """
        _ = self._by_title
        if self.reader is not None:
            _ = self.readings

    def scores(self, query: str) -> Scores:
        """How far each item is what a query asks for, ``float32 [items]``, zero or positive.

        Raises:
            InputError: the query is empty, too long, or has no known word.
        """
        refuse_query(query)
        found = np.zeros(self.index.weights.shape[1], np.float32)
        for word in self._words(query):
            found += self._of_word(word)
        if not found.any():
            raise InputError(self._why_nothing(query))
        return found

    def wanted(self, query: str, weight: float | None = None) -> Wanted:
        """What a query asks for, to be weighed against taste or popularity.

        Args:
            query: in words.
            weight: of the words; None for `WEIGHT`.

        Raises:
            InputError: the weight is no number above 0 and up to `MOST_WEIGHT`, or as of `scores`
                where no title is near the query either.
        """
        refuse_query(query, weight)
        weight = WEIGHT if weight is None else weight
        near = np.zeros(self.index.weights.shape[1], np.float32)
        if self.titles:
            near = self._by_title.nearness(query)
        try:
            found = self.scores(query)
        except InputError:
            if not near.any():  # "It" and "9" are titles, and no words that say anything
                raise
            found = np.zeros_like(near)
        words = weighed(found, self.index.having_all(self._words(query)))
        return Wanted(np.float32(weight) * words, near)

    def write(self, model: Path) -> None:
        """Write into a ``model`` folder that is being made."""
        whole = {name: np.ascontiguousarray(each) for name, each in self.index.arrays().items()}
        save_file(whole, model / NUMBERS)
        reader = None if self.reader is None else dict(self.reader)
        names = {"reader": reader, "features": self.features, **self.index.names()}
        write_json(model / WORDS, names)

    @staticmethod
    def kept(folder: Path) -> bool:
        """Whether a run, or a saved folder, keeps something to answer queries by."""
        return (folder / "model" / WORDS).is_file()

    @classmethod
    def read(
        cls,
        folder: Path,
        titles: Sequence[str | None] = (),
        added: ItemRows = NO_ROWS,
        instead: Path | None = None,
    ) -> "Queries":
        """Read what a run, or a saved folder, keeps; its seal must have been verified.

        Args:
            folder: of either.
            titles: of all items; none to find items by their words alone.
            added: items that were added after the training.
            instead: where readings are kept if the folder cannot be written.

        Raises:
            InputError: it keeps nothing.
        """
        model = folder / "model"
        if not cls.kept(folder):
            raise InputError(
                f"{folder} answers no queries in words: its items have no texts that it was "
                f"trained with, or an earlier version trained it; train again, with texts"
            )
        record, numbers = read_json(model / WORDS), load_file(model / NUMBERS)
        features = tuple(record["features"])
        index = WordIndex.of_arrays(numbers, record)
        terms = len(index.terms)
        if len(added):
            index = index.with_items(added.words(features))
        backbone = read_json(model / "model.json")["backbone_sha256"]
        further = len(index.terms) - terms
        return cls(index, record["reader"], features, folder, backbone, titles, further, instead)

    def alike(self, word: str) -> dict[str, float]:
        """Catalogue words that a word stands for, with their weights, greatest first."""
        rows, weights = self._alike(word)
        return {self.index.terms[row]: float(w) for row, w in zip(rows, weights, strict=True)}

    def _of_word(self, word: str) -> Scores:
        rows, weights = self._alike(word)
        return np.asarray(self.index.weights[rows].T @ weights, np.float32)

    def _alike(self, word: str) -> tuple[NDArray[np.int64], Scores]:
        row = self.index.rows.get(word)
        itself = np.array([] if row is None else [row], np.int64)
        if self.reader is None or self.index.is_alone(word):
            return itself, np.ones(len(itself), np.float32)
        vectors = self.readings.vectors
        if not len(vectors):  # every word of the catalogue stands alone
            return itself, np.ones(len(itself), np.float32)
        read = row is not None and row < len(vectors)  # at the training
        cosines = vectors @ (vectors[row] if read else self._read(word))
        if not read and cosines.max() < LEAST_COSINE:
            return itself, np.ones(len(itself), np.float32)
        best = np.argsort(-cosines, kind="stable")[:ALIKE]
        weights = np.square(cosines[best].clip(0))
        if read or row is None:
            return best, weights
        others = ALIKE - 1
        return np.append(itself, best[:others]), np.append(np.float32(1), weights[:others])

    def _words(self, query: str) -> list[str]:
        return self.index.words_of(query)[:MAX_WORDS]

    def _why_nothing(self, query: str) -> str:
        if cut_otherwise(composed(query), self._read_terms, self.index.cut):
            return CUT_OTHERWISE
        if len(self.index.words_of(query)) > MAX_WORDS:
            return NOT_READ
        return LEFT_OUT if self.index.left_out(query) else NO_ITEM

    @cached_property
    def _read_terms(self) -> Sequence[str]:
        """The words that the language model reads: the first of the index."""
        trained = self.index.terms[: len(self.index.terms) - self.further_terms]
        return [word for word in trained if not self.index.is_alone(word)]

    def _read(self, word: str) -> NDArray[np.float32]:
        whitening = self.readings.whitening
        read: NDArray[np.float32] = whitening.applied(self._loaded.read([word]))[0]
        return read

    @cached_property
    def _by_title(self) -> Titles:
        return Titles(self.titles)

    @cached_property
    def _readings(self) -> WordReadings:
        assert self.reader is not None
        if self.folder is None:
            return WordReadings.of(self._read_terms, self.reader)
        of = self._read_terms, self.reader, self.backbone_sha256
        return WordReadings.at(self.folder, *of, self.instead)

    @property
    def _loaded(self) -> "LoadedReader":
        """The language model, loaded by the first word that the catalogue has not."""
        with self._lock:
            return self._loaded_once

    @cached_property
    def _loaded_once(self) -> "LoadedReader":
        from cllm4rec.models.reading import Reader

        assert self.reader is not None
        return Reader(**self.reader).loaded()


def refuse_query(query: str, weight: float | None = None) -> None:
    """Refuse what can be no query, whatever the catalogue.

    Args:
        query: in words.
        weight: of the words; None for `WEIGHT`.

    Raises:
        InputError: the query is no text, too long or without a word, or the weight is no number
            above 0 and up to `MOST_WEIGHT`.
    """
    if not isinstance(query, str):
        raise InputError(f"query is no text but {type(query).__name__}; give words")
    if len(query) > MAX_CHARACTERS:
        raise InputError(
            f"the query has {len(query):,} characters; give at most {MAX_CHARACTERS:,}"
        )
    if not re.search(r"\w", query):
        raise InputError(NO_WORDS)
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if weight is not None and not (number and 0 < weight <= MOST_WEIGHT):
        raise InputError(
            f"the query's weight is {shown(weight)}; give a number above 0, up to "
            f"{MOST_WEIGHT:,.0f}, such as {WEIGHT} (the default), or 100 for the words alone"
        )
