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
    vectors = row_factors(_tf_idf(words), dimensions, seed)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


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
