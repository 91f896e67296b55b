"""Item vectors from words: TF-IDF, then a truncated singular value decomposition."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.linear.decomposition import row_factors


def item_text_vectors(
    words: Sequence[str], dimensions: int = 400, seed: int = 0
) -> NDArray[np.float32]:
    """Latent semantic vectors of texts (Deerwester et al. 1990), rows of length one.

    TF-IDF with 1 + log(count) over words and word pairs of at least two items, without English stop
    words. Singular vectors are scaled by √S rather than S, so that the first few do not dominate.

    Args:
        words: one text per item, by item number; may be empty.
        dimensions: number of vectors; fewer if there are fewer items or words.
        seed: of the randomised decomposition, used for large catalogues.

    Returns:
        ``float32 [items, d]``, ``d <= dimensions``; an item without usable words is a row of
        zeros, and ``d`` is 0 where no word is shared by two items.
    """
    return _length_one(row_factors(_tf_idf(words), dimensions, seed))


def whitened(
    vectors: NDArray[np.float32], power: float, dimensions: int = 400
) -> NDArray[np.float32]:
    """Principal components whose std ``S`` becomes ``S^(1 - power)``, rows of length one.

    Hidden states lie in a narrow cone, so that any two are alike until the mean is taken off and
    the first components are reduced. Power 0.5 to 0.75 gives the best nearest neighbours.

    Args:
        vectors: ``[items, d]``; rows of zeros stay zeros and take no part in mean and components.
        power: 0 keeps the components' std, 1 makes all of them equal (whitening).
        dimensions: number of components, the largest; fewer if there are fewer.

    Returns:
        ``float32 [items, min(d, dimensions)]``.
    """
    given = np.any(vectors != 0, axis=1)
    if not given.any():
        return np.zeros((len(vectors), 0), np.float32)
    centred = np.where(given[:, None], vectors - vectors[given].mean(axis=0), 0).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / given.sum())
    std = np.sqrt(np.maximum(variances[::-1], 0))[:dimensions]
    kept = std > std[0] * 1e-4
    components = centred @ axes[:, ::-1][:, : len(std)][:, kept] * std[kept] ** -power
    return _length_one(components.astype(np.float32))


def beside(
    first: NDArray[np.float32], second: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Two kinds of vectors of the same items concatenated, rows of length one.

    Args:
        first: ``[items, a]``, rows of length one or zero.
        second: ``[items, b]``, likewise.
        weight: of the second's products, relative to the first's.
    """
    return _length_one(np.concatenate([first, np.float32(np.sqrt(weight)) * second], axis=1))


def _length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=result, where=lengths > 0)
    return result


def _tf_idf(words: Sequence[str]) -> csr_matrix:
    """TF-IDF ``[items, terms]``; no columns if no two items share a term."""
    if len(words) < 2:
        return csr_matrix((len(words), 0))
    # Imported late: takes two seconds, and recommending from a saved model does not need it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, stop_words="english", sublinear_tf=True
    )
    try:
        return vectorizer.fit_transform(words).tocsr()
    except ValueError:
        # scikit-learn raises this only for an empty vocabulary here.
        return csr_matrix((len(words), 0))
