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

    TF-IDF with 1 + log(count), over words and pairs of words that at least two items have, English
    stop words left out; the singular vectors scaled by √S rather than S, so that the first few do
    not drown the rest.

    Args:
        words: one text per item, in the order of the item numbers; empty where there is none.
        dimensions: most vectors kept; fewer where there are fewer items or words.
        seed: of the randomised decomposition that large catalogues get.

    Returns:
        ``float32 [items, d]``, ``d <= dimensions``; an item without usable words is a row of
        zeros, and ``d`` is 0 where no word is shared by two items.
    """
    vectors = row_factors(_tf_idf(words), dimensions, seed)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


def _tf_idf(words: Sequence[str]) -> csr_matrix:
    """TF-IDF ``[items, terms]``; no terms where no two items share one."""
    if len(words) < 2:
        return csr_matrix((len(words), 0))
    # Two seconds to import, and nothing that recommends from a saved model needs it.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, stop_words="english", sublinear_tf=True
    )
    try:
        return vectorizer.fit_transform(words).tocsr()
    except ValueError:
        # scikit-learn's word for an empty vocabulary; every input here is a plain string.
        return csr_matrix((len(words), 0))
