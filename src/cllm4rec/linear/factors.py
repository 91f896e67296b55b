"""Item vectors from interactions: a truncated SVD of the popularity-normalised matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.decomposition import row_factors


def item_factors(train: Interactions, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Item factors ``V·√S`` of ``X`` with every entry divided by √(its user's · its item's count).

    This symmetric normalisation of spectral graph methods keeps popularity from dominating the
    first factors.

    Args:
        train: interactions ``X``.
        dimensions: number of factors; fewer if there are fewer users or items.
        seed: of the randomised decomposition, used for large catalogues.

    Returns:
        ``float32 [items, d]``, ``d <= dimensions``; an item without interactions is a row of zeros.
    """
    by_user = diags(1 / np.sqrt(np.maximum(train.counts(), 1)))
    by_item = diags(1 / np.sqrt(np.maximum(train.item_counts(), 1)))
    return row_factors((by_item @ train.matrix().T @ by_user).tocsr(), dimensions, seed)
