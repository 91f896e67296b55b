"""faiss indexes of the items: an exact one, and one that looks at some lists only."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec.errors import InputError

RECALL = 0.95
"""Recall that the inverted index must reach; until then the number of probes is doubled."""
SEED = 1234


class Inverted(NamedTuple):
    """What an inverted index was built with, and what it finds.

    Attributes:
        lists: cells the items are sorted into.
        probes: cells looked at for a query; stored in the index.
        recall: mean fraction of the exact ``k`` best that it finds.
        queries: users it was measured on.
    """

    lists: int
    probes: int
    recall: float
    queries: int


def write_exact(candidates: NDArray[np.float32], path: Path) -> Any:
    """Write an exact inner-product index.

    Args:
        candidates: ``[items, size + 1]``, the bias behind the vector.
        path: the file.

    Returns:
        The index.

    Raises:
        InputError: faiss is not installed.
    """
    faiss = load_faiss()
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    faiss.write_index(index, str(path))
    return index


def write_inverted(
    candidates: NDArray[np.float32], queries: NDArray[np.float32], exact: Any, k: int, path: Path
) -> Inverted:
    """Write an inverted index with as few probes as reach :data:`RECALL` on the queries.

    Args:
        candidates: ``[items, size + 1]``.
        queries: vectors of users, ``[users, size + 1]``.
        exact: the exact index of the same candidates.
        k: length of the lists that are compared.
        path: the file.
    """
    faiss = load_faiss()
    size, taken = candidates.shape[1], min(k, len(candidates))
    # faiss wants 39 points a cell to find its centre.
    lists = max(1, min(round(4 * len(candidates) ** 0.5), len(candidates) // 39))
    quantiser = faiss.IndexFlatIP(size)
    index = faiss.IndexIVFFlat(quantiser, size, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = SEED
    index.train(candidates)
    index.add(candidates)
    wanted = exact.search(queries, taken)[1]
    probes = 1
    while True:
        index.nprobe = probes
        found = recall(index.search(queries, taken)[1], wanted)
        if found >= RECALL or probes >= lists:
            break
        probes = min(2 * probes, lists)
    faiss.write_index(index, str(path))
    return Inverted(lists, probes, round(found, 4), len(queries))


def recall(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> float:
    """Mean fraction of each row of ``wanted`` that is in the same row of ``found``."""
    recalls = [len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, wanted, strict=True)]
    return float(np.mean(recalls))


def load_faiss() -> Any:
    """The library, an extra.

    Raises:
        InputError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Its generated wrappers warn about themselves on some versions of Python.
            warnings.simplefilter("ignore", DeprecationWarning)
            import faiss
    except ImportError:
        raise InputError(
            "an export needs faiss; in the checkout: pip install '.[export]' -c constraints.txt"
        ) from None
    return faiss
