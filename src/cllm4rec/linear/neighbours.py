"""Items without interactions, by the items whose texts are near theirs."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack


def neighbour_weights(
    vectors: NDArray[np.float32],
    items: NDArray[np.integer],
    among: NDArray[np.integer],
    *,
    k: int,
    power: float,
    block: int = 1024,
) -> csr_matrix:
    """Each item as a weighted mean of its nearest neighbours.

    Args:
        vectors: of all items, ``[items, d]``, rows of length one or zero.
        items: numbers of those to express.
        among: numbers of the candidates, ascending.
        k: neighbours kept; equally near ones at the end are all kept.
        power: of the cosines; negative ones count as zero.
        block: items at once, to hold no square matrix; of 1, an item's row is the same to the bit
            whichever others are expressed.

    Returns:
        ``float32 [len(items), vectors' items]``; rows sum to one, or to zero without a neighbour.
    """
    rows = [csr_matrix((0, len(vectors)), dtype=np.float32)]
    candidates = vectors[among].T
    for start in range(0, len(items), block):
        cosines = np.maximum(vectors[items[start : start + block]] @ candidates, 0)
        if k < len(among):
            last = np.partition(cosines, len(among) - k, axis=1)[:, len(among) - k, None]
            cosines[cosines < last] = 0
        near = csr_matrix(cosines**power)
        totals = np.asarray(near.sum(axis=1)).ravel()
        near.data /= np.repeat(totals, np.diff(near.indptr))
        shape = (near.shape[0], len(vectors))
        rows.append(csr_matrix((near.data, among[near.indices], near.indptr), shape=shape))
    return vstack(rows, format="csr", dtype=np.float32)


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
