"""Truncated SVD of a tall or wide sparse matrix: row factors ``U·√S``."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_matrix

EXACT_ROWS = 6_000
"""Up to this many rows, decompose the rows' gram matrix exactly, which is also faster."""
NEGLIGIBLE = 1e-5
"""Singular values below this fraction of the largest are rounding errors."""


def row_factors(matrix: csr_matrix, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Row factors ``U·√S`` of ``matrix ≈ U S Vᵀ``, longest direction first.

    Args:
        matrix: ``[rows, columns]``.
        dimensions: most directions kept; never more than the matrix's rank.
        seed: of the randomised decomposition that large matrices get.

    Returns:
        ``float32 [rows, d]``, ``d <= dimensions``; an empty row is a row of exact zeros.
    """
    d = min(dimensions, *matrix.shape)
    if d <= 0 or matrix.nnz == 0:
        return np.zeros((matrix.shape[0], 0), dtype=np.float32)
    left, lengths = _exact(matrix, d) if matrix.shape[0] <= EXACT_ROWS else _random(matrix, d, seed)
    kept = lengths > NEGLIGIBLE * lengths[0]
    factors: NDArray[np.float64] = left[:, kept] * np.sqrt(lengths[kept])
    factors[np.diff(matrix.indptr) == 0] = 0
    return factors.astype(np.float32)


def _exact(matrix: csr_matrix, d: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = matrix.shape[0]
    # In the order of LAPACK, which then works in place: no second matrix of this size.
    gram = (matrix @ matrix.T).astype(np.float64, copy=False).toarray(order="F")
    squares, left = eigh(gram, subset_by_index=[rows - d, rows - 1], overwrite_a=True)
    return left[:, ::-1], np.sqrt(np.maximum(squares[::-1], 0))


def _random(
    matrix: csr_matrix, d: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if matrix.shape[1] == 1:  # one term that many items share; scikit-learn wants two columns
        column = matrix.toarray().astype(np.float64)
        length = np.linalg.norm(column, axis=0)
        return column / length, length
    # Imported late: takes two seconds, and recommending from a saved model does not need it.
    from sklearn.decomposition import TruncatedSVD

    svd = TruncatedSVD(n_components=d, random_state=seed % 2**32)
    scaled = svd.fit_transform(matrix)
    lengths = svd.singular_values_
    return scaled / np.maximum(lengths, np.finfo(np.float32).tiny), lengths
