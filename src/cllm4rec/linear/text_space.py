"""The space of the items' TF-IDF vectors, kept: any further text gets its place in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.linear.decomposition import row_factors
from cllm4rec.linear.sparse_arrays import arrays_of, matrix_of
from cllm4rec.linear.words import CUT, cut_otherwise, words_of


@dataclass(frozen=True, eq=False)
class TextSpace:
    """Latent semantic vectors of texts (Deerwester et al. 1990).

    TF-IDF with 1 + log(count) over words and word pairs of at least two items, without English stop
    words; then a truncated singular value decomposition ``X ≈ U S Vᵀ``, whose factors are scaled by
    √S rather than S, so that the first few do not dominate.

    Attributes:
        terms: words and word pairs, by column.
        stop_words: words that are left out.
        idf: of the terms, ``float32 [terms]``.
        tf_idf: of the items, ``float32 [items, terms]``.
        factors: ``U √S`` of the items, ``float32 [items, d]``.
        cut: version that cut the words, as `cllm4rec.linear.words.CUT`.
    """

    terms: Sequence[str]
    stop_words: Sequence[str]
    idf: NDArray[np.float32]
    tf_idf: csr_matrix
    factors: NDArray[np.float32]
    cut: int = CUT

    @classmethod
    def fit(cls, words: Sequence[str], dimensions: int = 400, seed: int = 0) -> "TextSpace":
        """The space of some items.

        Args:
            words: one text per item, by item number; may be empty.
            dimensions: number of factors; fewer if there are fewer items or words.
            seed: of the randomised decomposition, used for large catalogues.
        """
        vectorizer, matrix = _fitted(words)
        factors = row_factors(matrix, dimensions, seed)
        if vectorizer is None:
            nothing = np.zeros(0, np.float32)
            return cls([], [], nothing, matrix.astype(np.float32), factors)
        terms = vectorizer.get_feature_names_out().tolist()
        stop_words = sorted(vectorizer.get_stop_words())
        idf = vectorizer.idf_.astype(np.float32)
        return cls(terms, stop_words, idf, matrix.astype(np.float32), factors)

    @property
    def num_items(self) -> int:
        """Items that the space was made of."""
        return len(self.factors)

    @property
    def items(self) -> NDArray[np.float32]:
        """Vectors of the items, rows of length one; zeros for an item without usable words."""
        return length_one(self.factors)

    @cached_property
    def axes(self) -> NDArray[np.float32]:
        """``V / √S``, so that ``TF-IDF · axes`` are factors: ``float32 [terms, d]``."""
        squares = np.square(self.factors, dtype=np.float64).sum(
            axis=0
        )  # S: U's columns have length 1
        return np.asarray(self.tf_idf.T @ (self.factors / squares**2).astype(np.float32))

    @cached_property
    def placed(self) -> NDArray[np.float32]:
        """Vectors of the items as those of further texts are made: equal texts, equal vectors."""
        return length_one(np.asarray(self.tf_idf @ self.axes))

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of any texts, ``float32 [texts, d]``, rows of length one or zero.

        A text of which no item has a word is a row of zeros.
        """
        return length_one(np.asarray(self.tf_idf_of(texts) @ self.axes))

    def tf_idf_of(self, texts: Sequence[str]) -> csr_matrix:
        """TF-IDF of any texts, ``float32 [texts, terms]``."""
        columns: list[int] = []
        values: list[float] = []
        ends = [0]
        for text in texts:
            counts = self._counts(text)
            found = sorted(counts)
            tf = 1 + np.log(np.array([counts[term] for term in found], np.float64))
            row = tf * self.idf[found]
            values += (row / max(float(np.linalg.norm(row)), 1e-12)).tolist()
            columns += found
            ends.append(len(columns))
        arrays = np.array(values, np.float32), np.array(columns, np.int32), np.array(ends)
        return csr_matrix(arrays, shape=(len(texts), len(self.terms)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name; with `names`, all of it: `of_arrays` undoes them."""
        numbers = {"idf": self.idf, "factors": np.ascontiguousarray(self.factors)}
        return numbers | arrays_of(self.tf_idf, "tf_idf.")

    def names(self) -> dict[str, Any]:
        """Its words, as JSON."""
        words = {"terms": list(self.terms), "stop_words": list(self.stop_words)}
        return {**words, "cut": self.cut}

    def cut_otherwise(self, text: str) -> bool:
        """Whether the items may have words of a text that an earlier version cut otherwise."""
        return cut_otherwise(text.lower(), self.terms, self.cut)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], names: Mapping[str, Any]) -> "TextSpace":
        """Rebuild a space from `arrays` and `names`."""
        terms, factors = names["terms"], arrays["factors"]
        tf_idf = matrix_of(arrays, (len(factors), len(terms)), "tf_idf.")
        cut = names.get("cut", 1)
        return cls(terms, names["stop_words"], arrays["idf"], tf_idf, factors, cut)

    def _counts(self, text: str) -> dict[int, int]:
        """How often each known term stands in a text: as scikit-learn's analyzer cuts it."""
        words = [word for word in words_of(text.lower()) if word not in self._stopped]
        counts: dict[int, int] = {}
        for term in (*words, *(f"{first} {second}" for first, second in pairwise(words))):
            column = self._columns.get(term)
            if column is not None:
                counts[column] = counts.get(column, 0) + 1
        return counts

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}

    @cached_property
    def _stopped(self) -> frozenset[str]:
        return frozenset(self.stop_words)


def length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows divided by their lengths; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=result, where=lengths > 0)
    return result


def _fitted(words: Sequence[str]) -> tuple[Any, csr_matrix]:
    """A fitted vectorizer and TF-IDF ``[items, terms]``; None if no two items share a term."""
    if len(words) < 2:
        return None, csr_matrix((len(words), 0))
    # Imported late: takes two seconds, and recommending from a saved model does not need it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        tokenizer=words_of,
        token_pattern=None,
        ngram_range=(1, 2),
        min_df=2,
        stop_words="english",
        sublinear_tf=True,
    )
    try:
        return vectorizer, vectorizer.fit_transform(words).tocsr()
    except ValueError:
        # scikit-learn raises this only for an empty vocabulary here.
        return None, csr_matrix((len(words), 0))
