"""EASE for catalogues whose square matrix does not fit in memory: each item by its nearest.

EASE's column of an item is the ridge regression of that item on all others; here it is the same
regression on its nearest items alone. No matrix of items × items is held, and the result is sparse.
With all items as neighbours it is EASE.

Source: selecting features before the regression is fsSLIM's (Ning & Karypis, *SLIM*, ICDM 2011);
solving submatrices of the closed form, that of Steck, *Markov Random Fields for Collaborative
Filtering*, NeurIPS 2019.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array, csr_matrix

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Fitted
from cllm4rec.linear.rows import constant_column

REFERENCE_L2, REFERENCE_ALPHA = 100.0, 10.0
"""Of the correlations that rank neighbours: one ranking serves every setting."""

_BLOCK_NUMBERS = 2**25
"""Most numbers of a block of rows: 128 MiB, and twice that for their order."""


def nearest_items(
    train: Interactions, text_vectors: NDArray[np.float32], count: int
) -> NDArray[np.int32]:
    """Each item's nearest others by interactions and texts, nearest first.

    Near is the correlation in ``XᵀX + α·AAᵀ + λI``, the matrix that EASE inverts.

    Args:
        train: interactions ``X``.
        text_vectors: ``A``, ``[items, d]``; d may be 0.
        count: most neighbours of an item.

    Returns:
        ``int32 [items, min(count, items - 1)]``; −1 where an item has no more that are correlated.
    """
    size = train.num_items
    count = min(count, size - 1)
    result = np.full((size, max(count, 0)), -1, np.int32)
    if count < 1:
        return result
    matrix = train.matrix()
    by_item = matrix.T.tocsr()
    squares = np.einsum("id,id->i", text_vectors, text_vectors)
    variances = train.item_counts() + REFERENCE_L2 + REFERENCE_ALPHA * squares
    lengths = np.sqrt(variances).astype(np.float32)
    rows = max(1, _BLOCK_NUMBERS // size)
    with progress.task("Finding neighbours", total=size, unit="item") as task:
        for start in range(0, size, rows):
            end = min(start + rows, size)
            near = (by_item[start:end] @ matrix).toarray()
            if text_vectors.shape[1]:
                near += (REFERENCE_ALPHA * text_vectors[start:end]) @ text_vectors.T
            near /= lengths
            near[np.arange(end - start), np.arange(start, end)] = -np.inf
            best = np.argpartition(near, size - count, axis=1)[:, size - count :]
            values = np.take_along_axis(near, best, axis=1)
            order = np.argsort(-values, axis=1)
            best, values = (np.take_along_axis(each, order, axis=1) for each in (best, values))
            result[start:end] = np.where(values > 0, best, -1)
            task.advance(end - start)
    return result


def sparse_fits(
    matrix: csr_matrix,
    neighbours: NDArray[np.int32],
    text_vectors: NDArray[np.float32],
    settings: Sequence[tuple[float, float]],
    targets: csr_matrix | None = None,
    *,
    constant: float = 0.0,
) -> list[Fitted]:
    """EASE, each item's regression being on its neighbours alone, and on the constant.

    An item's submatrix is built once for all settings.

    Args:
        matrix: histories ``[rows, items]``; an entry may be any weight.
        neighbours: ``int32 [items, k]``, −1 for none, and then no more.
        text_vectors: ``[items, d]``; d may be 0.
        settings: pairs of l2, above 0, and alpha, at least 0.
        targets: what the rows are to predict, ``[rows, items]``; None: themselves.
        constant: of `cllm4rec.linear.rows.Rows`.

    Returns:
        For each setting weights ``float32 [items, items]``, at most k a column: row = item of the
        history, as from `cllm4rec.linear.ease.weights_of`.
    """
    by_item = matrix.T.tocsr().astype(np.float32)
    wanted = None if targets is None else targets.T.tocsr().astype(np.float32)
    numbers = np.zeros(matrix.shape[0], np.int32)
    counts = (neighbours >= 0).sum(axis=1)
    ends = np.cumsum(counts)
    found = [np.zeros(ends[-1], np.float32) for _ in settings]
    biases = [np.zeros(len(counts), np.float32) if constant else None for _ in settings]
    column = constant_column(matrix, constant)
    sums, square = np.asarray(by_item @ column, np.float32), float(column @ column)
    aimed_at = sums if wanted is None else np.asarray(wanted @ column, np.float32)
    with progress.task("Fitting by neighbours", total=len(counts), unit="item") as task:
        for item in range(len(counts)) if constant else np.flatnonzero(counts):
            count, end = counts[item], ends[item]
            support = np.concatenate([[item], neighbours[item, :count]])
            gram, texts = _gram(by_item[support], numbers), _products(text_vectors[support])
            if wanted is not None:
                aimed = (by_item[support] @ wanted[item].T).toarray()[:, 0]
            if constant:
                gram, texts = _bordered(gram, sums[support], square), _bordered(texts)
                if wanted is not None:
                    aimed = np.append(aimed, aimed_at[item])
            for (l2, alpha), weights, bias in zip(settings, found, biases, strict=True):
                own = (
                    _regression(gram, texts, l2, alpha)
                    if wanted is None
                    else _regression_on(aimed, gram, texts, l2, alpha)
                )
                weights[end - count : end] = own[:count]
                if bias is not None:
                    bias[item] = own[-1] * constant
            if item % 256 == 255:
                task.advance(256)
    rows = neighbours[neighbours >= 0]
    columns = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    order = np.argsort(rows, kind="stable")  # the settings share all arrays but the weights
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(counts)))])
    columns, shape = columns[order], (len(counts), len(counts))
    sparse = [csr_array((weights[order], columns, indptr), shape=shape) for weights in found]
    return [Fitted(weights, bias) for weights, bias in zip(sparse, biases, strict=True)]


def largest_of_rows(weights: csr_array, kept: int) -> csr_array:
    """Keep the ``kept`` weights of largest magnitude per row, columns ascending."""
    starts = weights.indptr[:-1]
    marked = np.ones(weights.nnz, np.bool_)
    for row in np.flatnonzero(np.diff(weights.indptr) > kept):
        start, end = starts[row], weights.indptr[row + 1]
        smallest = np.argsort(-np.abs(weights.data[start:end]), kind="stable")[kept:]
        marked[start + smallest] = False
    indptr = np.concatenate([[0], np.cumsum(marked)])[weights.indptr]
    arrays = weights.data[marked], weights.indices[marked], indptr
    return csr_array(arrays, shape=weights.shape)


def _gram(rows: csr_matrix, numbers: NDArray[np.int32]) -> NDArray[np.float32]:
    """Products of a few items' rows of users; ``numbers`` is scratch memory, one per user."""
    # Numbered anew below the number of entries, or the product would pass over all users.
    numbers[rows.indices] = np.arange(rows.nnz, dtype=np.int32)
    shape = (rows.shape[0], max(1, rows.nnz))
    few = csr_matrix((rows.data, numbers[rows.indices], rows.indptr), shape=shape)
    gram: NDArray[np.float32] = (few @ few.T).toarray(order="F")
    return gram


def _products(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """``AAᵀ``, its lower triangle; zeros without vectors."""
    if vectors.shape[1] == 0:
        return np.zeros((len(vectors), len(vectors)), np.float32, order="F")
    products: NDArray[np.float32] = blas.ssyrk(1.0, vectors.T, trans=1, lower=1)
    return products


def _bordered(
    products: NDArray[np.float32], sums: NDArray[np.float32] | float = 0.0, square: float = 0.0
) -> NDArray[np.float32]:
    """A lower triangle with one more row and column, of the constant's products."""
    bordered = np.zeros((len(products) + 1,) * 2, np.float32, order="F")
    bordered[:-1, :-1] = products
    bordered[-1, :-1] = sums
    bordered[:-1, -1] = sums
    bordered[-1, -1] = square
    return bordered


def _regression(
    gram: NDArray[np.float32], texts: NDArray[np.float32], l2: float, alpha: float
) -> NDArray[np.float32]:
    """Weights of all items but the first in the first's ridge regression."""
    shifted = gram + np.float32(alpha) * texts
    shifted[np.diag_indices_from(shifted)] += np.float32(l2)
    unit = np.zeros(len(shifted), np.float32)
    unit[0] = 1
    factor, failed = lapack.spotrf(shifted, lower=True, overwrite_a=True, clean=False)
    assert failed == 0, f"a submatrix of XᵀX + alpha·AAᵀ + {l2}·I is not positive definite"
    inverse, failed = lapack.spotrs(factor, unit, lower=True)
    assert failed == 0
    weights: NDArray[np.float32] = -inverse[1:] / inverse[0]
    return weights


def _regression_on(
    aimed: NDArray[np.float32],
    gram: NDArray[np.float32],
    texts: NDArray[np.float32],
    l2: float,
    alpha: float,
) -> NDArray[np.float32]:
    """The same where rows predict others than themselves: ``aimed`` are products with those."""
    shifted = (gram + np.float32(alpha) * texts)[1:, 1:]
    shifted[np.diag_indices_from(shifted)] += np.float32(l2)
    sums = aimed[1:] + np.float32(alpha) * texts[1:, 0]
    weights: NDArray[np.float32]
    _, weights, failed = lapack.sposv(shifted, sums, lower=True)
    assert failed == 0, f"a submatrix of XᵀX + alpha·AAᵀ + {l2}·I is not positive definite"
    return weights
