"""EASE, and EASE with item texts: closed-form item-to-item weights.

Source: Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019; with side
information as in Jeunen, Van Balen & Goethals, *Closed-Form Models for Collaborative Filtering with
Side-Information*, RecSys 2020 (CEASE).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.sparse import csr_matrix

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError

FLOAT64_ITEMS = 5_000
"""Catalogues up to this size are solved in float64, larger ones in float32."""
MAX_ITEMS = 25_000
"""Largest catalogue solved exactly; each matrix then takes 2.5 GB, the factorisation minutes."""

_BLOCK = 512
"""Rows processed at once."""

Matrix = NDArray[np.floating[Any]]


def gram_matrix(train: Interactions) -> Matrix:
    """Co-occurrence counts ``XᵀX``, ``[items, items]``.

    Raises:
        InputError: the catalogue is larger than ``MAX_ITEMS``.
    """
    refuse_too_many(train.num_items)
    return gram_of(train.matrix())


def refuse_too_many(items: int) -> None:
    """Refuse a catalogue larger than ``MAX_ITEMS``.

    Raises:
        InputError: it is.
    """
    if items > MAX_ITEMS:
        raise InputError(
            f"EASE needs a square matrix of the items, and {items:,} items are more than "
            f"{MAX_ITEMS:,}; give neighbours, such as 200"
        )


def gram_of(matrix: csr_matrix) -> Matrix:
    """``XᵀX``, ``[items, items]``, of histories ``[rows, items]`` whose entries may be weights."""
    dtype = np.float64 if matrix.shape[1] <= FLOAT64_ITEMS else np.float32
    typed = matrix.astype(dtype)
    gram: Matrix = (typed.T @ typed).toarray()
    return gram


def inverse_gram(gram: Matrix, l2: float) -> Matrix:
    """``(XᵀX + λI)⁻¹`` by Cholesky; ``gram`` is unchanged.

    Raises:
        ValueError: ``l2`` is not above 0.
    """
    if not l2 > 0:
        raise ValueError(f"l2 is {l2}: it must be above 0, or the matrix has no inverse")
    # Fortran order lets LAPACK work in place: one copy of items × items, not three.
    shifted = np.array(gram, order="F")
    shifted[np.diag_indices_from(shifted)] += l2
    factorise, invert = lapack.get_lapack_funcs(("potrf", "potri"), (shifted,))
    factor, failed = factorise(shifted, lower=True, overwrite_a=True, clean=False)
    assert failed == 0, f"XᵀX + {l2}·I is not positive definite"
    inverse, failed = invert(factor, lower=True, overwrite_c=True)
    assert failed == 0
    _mirror_lower(inverse)
    result: Matrix = inverse
    return result


def add_texts(inverse: Matrix, text_vectors: NDArray[np.float32], alpha: float) -> Matrix:
    """``(M + α·AAᵀ)⁻¹`` from ``M⁻¹`` by Woodbury's identity, at a fraction of a new inversion.

    Args:
        inverse: ``M⁻¹``, ``[items, items]``; unchanged.
        text_vectors: ``A``, ``[items, d]``.
        alpha: α, at least 0.
    """
    update = text_update(inverse, text_vectors, alpha)
    if not len(update):
        return inverse
    result: Matrix = update.T @ update
    return np.subtract(inverse, result, out=result)


def text_update(inverse: Matrix, text_vectors: NDArray[np.float32], alpha: float) -> Matrix:
    """``U`` with ``(M + α·AAᵀ)⁻¹ = M⁻¹ − UᵀU``, ``[d, items]``; no rows where α or d is 0."""
    if alpha == 0 or text_vectors.shape[1] == 0:
        return np.zeros((0, len(inverse)), inverse.dtype)
    vectors: Matrix = text_vectors.astype(inverse.dtype)
    pulled = inverse @ vectors
    inner = vectors.T @ pulled
    inner[np.diag_indices_from(inner)] += 1 / alpha
    update: Matrix = solve_triangular(cholesky(inner, lower=True), pulled.T, lower=True)
    return update


def weights_of(inverse: Matrix, items: int | None = None) -> NDArray[np.float32]:
    """Item-to-item weights ``B = I − P / diag(P)`` by columns, from the inverse ``P``.

    A history with indicator vector ``x`` has scores ``x B``.

    Args:
        inverse: of as many inputs as it has rows.
        items: the first of the inputs, which are wanted; None: all.

    Returns:
        ``float32 [inputs, items]`` with a zero diagonal.
    """
    items = items or len(inverse)
    # Row-major: multiplying a sparse history by a column-major matrix takes 17 times longer.
    weights = np.empty((len(inverse), items), np.float32)
    divisor = -np.diag(inverse)[:items]
    for start in range(0, len(weights), _BLOCK):  # in blocks, to avoid another items × items matrix
        weights[start : start + _BLOCK] = inverse[start : start + _BLOCK, :items] / divisor
    np.fill_diagonal(weights, 0)
    return weights


def _mirror_lower(matrix: Matrix) -> None:
    """Copy the lower triangle over the upper one, in place."""
    for start in range(0, len(matrix), _BLOCK):
        end = start + _BLOCK
        corner = np.tril(matrix[start:end, start:end])
        matrix[start:end, start:end] = corner + np.tril(corner, -1).T
        matrix[start:end, end:] = matrix[end:, start:end].T
