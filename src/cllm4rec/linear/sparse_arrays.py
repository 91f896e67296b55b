"""Sparse matrices: as named arrays, as they stand in a safetensors file; their rows scaled."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

_PARTS = ("data", "indices", "indptr")


def arrays_of(matrix: Any, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of a CSR matrix under ``prefix`` and their names; `matrix_of` undoes it."""
    return {f"{prefix}{part}": np.ascontiguousarray(getattr(matrix, part)) for part in _PARTS}


def matrix_of(
    arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int], prefix: str = ""
) -> csr_matrix:
    """A matrix of this shape from the arrays that `arrays_of` made."""
    return csr_matrix(tuple(arrays[f"{prefix}{part}"] for part in _PARTS), shape=shape)


def scaled(matrix: csr_matrix, roots: NDArray[np.float32]) -> csr_matrix:
    """Rows multiplied by numbers; the same matrix where these are ones."""
    return matrix if (roots == 1).all() else csr_matrix(diags(roots) @ matrix)
