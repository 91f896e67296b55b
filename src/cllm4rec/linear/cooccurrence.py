"""Which items stand in one history, and how often."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from cllm4rec.data.interactions import Interactions


def cooccurrence(train: Interactions) -> csr_matrix:
    """Σ over users with both items of 1 / (n − 1), n their items: a history of n counts n times.

    Returns:
        ``float32 [items, items]``, symmetric, nothing on the diagonal.
    """
    matrix = train.matrix()
    sizes = np.diff(matrix.indptr)
    weights = np.where(sizes > 1, 1 / np.maximum(sizes - 1, 1), 0).astype(np.float32)
    pairs = csr_matrix(matrix.T @ (diags(weights) @ matrix), dtype=np.float32)
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    pairs.sort_indices()
    return pairs
