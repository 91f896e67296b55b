"""Which items have which words, and how much each says: Okapi BM25."""

from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, vstack

from cllm4rec.linear.folding import composed, folded_words
from cllm4rec.linear.function_words import FUNCTION_WORDS, content_words, demanded
from cllm4rec.linear.sparse_arrays import arrays_of, matrix_of
from cllm4rec.linear.words import CUT, words_of

SATURATION = 1.2
"""``k1``: where a word's further occurrences stop to count."""
LENGTH = 0.3
"""``b``: how far a long text is reckoned as long. Item texts are short, so less than usual."""


@dataclass(frozen=True, eq=False)
class WordIndex:
    """Weights of words in items' texts (Robertson et al., Okapi at TREC-3, 1994).

    Attributes:
        terms: words, folded, by row; those that stand for themselves alone come last.
        stop_words: words that say nothing beside others.
        idf: of the terms, ``float32 [terms]``.
        mean_words: words of a text, on average, but those that stand for themselves alone.
        weights: ``float32 [terms, items]``.
        cut: version that cut the words, as `cllm4rec.linear.words.CUT`.
        whole: whether every word is a term; an earlier version left out single characters and
            scikit-learn's English stop words, among them fire, system and thin.
    """

    terms: Sequence[str]
    stop_words: Sequence[str]
    idf: NDArray[np.float32]
    mean_words: float
    weights: csr_matrix
    cut: int = CUT
    whole: bool = True

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "WordIndex":
        """Index the items' words.

        Args:
            texts: one per item, by item number; may be empty.
        """
        items = Counter[str]()
        number = 0
        for text in texts:
            words = folded_words(text)
            items.update(set(words))
            number += sum(not _is_alone(word, FUNCTION_WORDS) for word in words)
        terms = sorted(items, key=lambda word: (_is_alone(word, FUNCTION_WORDS), word))
        idf = _idf(np.array([items[word] for word in terms]), len(texts))
        mean_words = number / max(1, len(texts))
        empty = csr_matrix((len(terms), 0), dtype=np.float32)
        return cls(terms, sorted(FUNCTION_WORDS), idf, mean_words, empty)._weighed(texts)

    def with_items(self, texts: Sequence[str]) -> "WordIndex":
        """The same with further items; words that only they have follow the others.

        What the words of the others say stays as it was, and so do the others' weights.
        """
        return self._with_terms(texts)._weighed(texts)

    def _weighed(self, texts: Sequence[str]) -> "WordIndex":
        """The same with further items, whose words are all known."""
        row, column, values = array("q"), array("q"), array("d")
        for item, text in enumerate(texts):
            words = self._indexed(text)
            number = sum(not self.is_alone(word) for word in words)
            long = 1 - LENGTH + LENGTH * number / max(self.mean_words, 1e-9)
            for word, times in Counter(words).items():
                row.append(self.rows[word])
                column.append(item)
                values.append(times / (times + SATURATION * long))
        rows = np.array(row, np.int64)
        weights = (self.idf[rows] * np.array(values)).astype(np.float32)
        shape = (len(self.terms), len(texts))
        new = csr_matrix((weights, (rows, np.array(column, np.int64))), shape)
        return replace(self, weights=hstack([self.weights, new], format="csr"))

    def having_all(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Which items have every one of a query's words: ``bool [items]``; no words, none.

        Args:
            words: as of `words_of`; a letter among them need not be there (`demanded`).
        """
        words = demanded(words)
        having = np.zeros(self.weights.shape[1], np.int64)
        for word in words:
            if (row := self.rows.get(word)) is not None:
                begin, end = self.weights.indptr[row : row + 2]
                having[self.weights.indices[begin:end]] += 1
        return np.asarray(having == max(1, len(words)))

    def words_of(self, text: str) -> list[str]:
        """The distinct words of a query, in order; stop words only where there is nothing else."""
        if self.whole:
            return content_words(composed(text), self._stopped)
        words = list(dict.fromkeys(folded_words(text, least=2)))
        return [word for word in words if word not in self._stopped] or words

    def is_alone(self, word: str) -> bool:
        """Whether a word stands for itself alone: a function word, or a single character."""
        return self.whole and _is_alone(word, self._stopped)

    def left_out(self, text: str) -> bool:
        """Whether an earlier version left out words of a query, whatever items have them."""
        asked = content_words(composed(text))
        return not self.whole and any(_is_alone(word, self._stopped) for word in asked)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each word; an earlier version's are not folded, and the first of two stands."""
        found: dict[str, int] = {}
        for row, word in enumerate(self.terms):
            found.setdefault(composed(word), row)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name; with `names`, all of it: `of_arrays` undoes them."""
        return {"idf": self.idf} | arrays_of(self.weights, "weights.")

    def names(self) -> dict[str, Any]:
        """Its words, as JSON."""
        items = self.weights.shape[1]
        words = {"terms": list(self.terms), "stop_words": list(self.stop_words)}
        versions = {"cut": self.cut, "whole": self.whole}
        return {**words, "mean_words": self.mean_words, "items": items, **versions}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], names: Mapping[str, Any]) -> "WordIndex":
        """Rebuild an index from `arrays` and `names`."""
        weights = matrix_of(arrays, (len(names["terms"]), names["items"]), "weights.")
        return cls(
            names["terms"],
            names["stop_words"],
            arrays["idf"],
            names["mean_words"],
            weights,
            names.get("cut", 1),
            names.get("whole", False),
        )

    def _with_terms(self, texts: Sequence[str]) -> "WordIndex":
        """The same with rows for the words that only some further texts have."""
        items = Counter[str]()
        for text in texts:
            # Word by word: taking a dictionary's keys from a set goes through all of them.
            words = set(self._indexed(text))
            items.update(word for word in words if word not in self.rows)
        terms = sorted(items)
        idf = _idf(np.array([items[word] for word in terms]), self.weights.shape[1] + len(texts))
        none = csr_matrix((len(terms), self.weights.shape[1]), dtype=np.float32)
        weights = vstack([self.weights, none], format="csr")
        both = [*self.terms, *terms]
        return replace(self, terms=both, idf=np.concatenate([self.idf, idf]), weights=weights)

    def _indexed(self, text: str) -> list[str]:
        """The words of an item's text that are terms, in order."""
        if self.whole:
            return folded_words(text)
        return [word for word in folded_words(text, least=2) if word not in self._stopped]

    @cached_property
    def _stopped(self) -> frozenset[str]:
        return frozenset(self.stop_words)


def _is_alone(word: str, stopped: Collection[str]) -> bool:
    return word in stopped or (len(word) == 1 and not words_of(word))


def _idf(having: NDArray[Any], items: int) -> NDArray[np.float32]:
    """What words say that so many of the items have."""
    found = np.log(1 + (items - having + 0.5) / (having + 0.5))
    return np.asarray(found, np.float32)
