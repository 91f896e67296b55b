"""Items without interactions, by the items whose texts are near theirs."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MOST_COSINES = 2**24
"""Held at once; of a large catalogue that is no square matrix."""
ROUNDING = 1e-4
"""More than cosines of one pair differ by, however they are added up."""
NONE = np.zeros(0, np.int64)


def neighbour_weights(
    vectors: NDArray[np.float32],
    items: NDArray[np.integer],
    among: NDArray[np.integer],
    *,
    k: int,
    power: float,
) -> csr_matrix:
    """Each item as a weighted mean of its nearest neighbours.

    An item's row is the same to the bit whichever others are expressed.

    Args:
        vectors: of all items, ``[items, d]``, rows of length one or zero.
        items: numbers of those to express.
        among: numbers of the candidates, ascending.
        k: neighbours kept; equally near ones at the end are all kept.
        power: of the cosines; negative ones count as zero.

    Returns:
        ``float32 [len(items), vectors' items]``; rows sum to one, or to zero without a neighbour.
    """
    candidates = vectors[among]
    values, columns = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
    ends = [0]
    block = max(1, MOST_COSINES // max(1, len(among)))
    for start in range(0, len(items), block):
        numbers = items[start : start + block]
        for number, rough in zip(numbers, vectors[numbers] @ candidates.T, strict=True):
            least = max(_largest(rough, k), 0) - ROUNDING
            # An item without a text has no neighbour: not all others at a cosine of zero.
            near = np.flatnonzero(rough >= least) if vectors[number].any() else NONE
            # Not by BLAS, whose rounding depends on how many items there are.
            cosines = np.einsum("nd,d->n", candidates[near], vectors[number])
            kept = cosines >= max(_largest(cosines, k), np.finfo(np.float32).tiny)
            weights = cosines[kept].astype(np.float64) ** power  # a power of float32 may be zero
            values.append((weights / weights.sum()).astype(np.float32))
            columns.append(among[near[kept]])
            ends.append(ends[-1] + len(weights))
    arrays = np.concatenate(values), np.concatenate(columns), np.array(ends)
    return csr_matrix(arrays, shape=(len(items), len(vectors)), dtype=np.float32)


def _largest(values: NDArray[np.float32], k: int) -> float:
    """The ``k``-th largest; the smallest of fewer, minus infinity of none."""
    if not len(values):
        return -np.inf
    place = max(0, len(values) - k)
    return float(np.partition(values, place)[place])


def offset_for_share(others: NDArray[np.float32], new: NDArray[np.float32], share: float) -> float:
    """What to add to the scores of new items so that they take a given share of the lists.

    Args:
        others: ``[users, n]``, the best n scores of other items, falling.
        new: ``[users, n]``, those of new items, falling.
        share: of new items among all users' first n, in (0, 1).

    Returns:
        The smallest offset with at least that share, to within rounding of the scores.
    """
    # The m-th best new item is in the list if it passes the other that it would push out.
    missing = np.sort((others[:, ::-1] - new).ravel())
    missing = missing[np.isfinite(missing)]
    if not len(missing):
        return 0.0
    wanted = int(np.ceil(share * others.size))
    last = float(missing[min(max(wanted, 1), len(missing)) - 1])
    return float(np.nextafter(np.float32(last), np.float32(np.inf)))
