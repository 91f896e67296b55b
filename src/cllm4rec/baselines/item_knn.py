"""ItemKNN: cosine neighbours of the history's items (Sarwar et al., WWW 2001)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Fitted
from cllm4rec.ranking import Scorer

NEIGHBOURS: tuple[int | str, ...] = (100, 400, "all")
SHRINKS = (0, 10)
DENSE_SHARE = 0.05
"""Weights with a larger fraction of non-zeros are multiplied faster as a dense matrix."""
DENSE_ITEMS = 10_000
"""Largest catalogue whose weights may be made dense."""


class ItemKnn(Baseline):
    """Cosine between items' users, ``shrink`` added to the denominator, ``k`` neighbours kept."""

    def grid(self, num_items: int) -> list[Settings]:
        """Every ``k`` with every ``shrink``."""
        return [{"k": k, "shrink": shrink} for shrink in SHRINKS for k in NEIGHBOURS]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The gram matrix is computed once, neighbours are sorted once per shrink."""
        gram = _shared_users(train)
        for shrink in SHRINKS:
            similar = _by_similarity(gram, train, shrink)
            for k in NEIGHBOURS:
                yield {"k": k, "shrink": shrink}, Fitted(_nearest(similar, k))


def _shared_users(train: Interactions) -> coo_matrix:
    """Users shared by two different items, ``[items, items]``."""
    matrix = train.matrix()
    gram = (matrix.T @ matrix).tocoo()
    gram.setdiag(0)
    gram.eliminate_zeros()
    return gram


def _by_similarity(gram: coo_matrix, train: Interactions, shrink: float) -> coo_matrix:
    """Similarities, entries grouped by row, the most similar first, then by item number."""
    lengths = np.sqrt(train.item_counts())
    similarity = gram.data / (lengths[gram.row] * lengths[gram.col] + shrink)
    order = np.lexsort((gram.col, -similarity, gram.row))
    entries = (similarity[order].astype(np.float32), (gram.row[order], gram.col[order]))
    return coo_matrix(entries, shape=gram.shape)


def _nearest(similar: coo_matrix, k: int | str) -> NDArray[np.float32] | csr_matrix:
    """Weights from an item of the history to those that count it among their ``k`` nearest."""
    counts = np.bincount(similar.row, minlength=similar.shape[0])
    place = np.arange(similar.nnz) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < (similar.nnz if k == "all" else int(k))
    entries = (similar.data[kept], (similar.col[kept], similar.row[kept]))
    weights = csr_matrix(entries, shape=similar.shape)
    items = similar.shape[0]
    dense = items <= DENSE_ITEMS and weights.nnz > DENSE_SHARE * items * items
    return weights.toarray() if dense else weights
