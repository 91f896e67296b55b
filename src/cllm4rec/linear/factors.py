"""Item vectors from interactions: a truncated SVD of the popularity-normalised matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags
from sklearn.decomposition import TruncatedSVD

from cllm4rec.data.interactions import Interactions


def item_factors(train: Interactions, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Item factors ``V·√S`` of ``X`` with every entry divided by √(its user's · its item's count).

    The normalisation is the symmetric one of spectral graph methods: without it the first factors
    only say how popular an item is.

    Args:
        train: interactions ``X``.
        dimensions: most factors kept; fewer where there are fewer users or items.
        seed: of the randomised decomposition.

    Returns:
        ``float32 [items, d]``, ``d <= dimensions``; an item without interactions is a row of zeros.
    """
    d = min(dimensions, train.num_users, train.num_items)
    if d <= 0 or len(train) == 0:
        return np.zeros((train.num_items, 0), dtype=np.float32)
    by_user = diags(1 / np.sqrt(np.maximum(train.counts(), 1)))
    by_item = diags(1 / np.sqrt(np.maximum(train.item_counts(), 1)))
    svd = TruncatedSVD(n_components=d, random_state=seed % 2**32)
    svd.fit((by_user @ train.matrix() @ by_item).tocsr())
    # What rounding leaves of directions beyond the rank is noise, not a factor.
    kept = svd.singular_values_ > svd.singular_values_[0] * 1e-5
    factors = svd.components_[kept].T * np.sqrt(svd.singular_values_[kept])
    factors[train.item_counts() == 0] = 0
    return factors.astype(np.float32)
