"""Item vectors from interactions: a truncated SVD of the popularity-normalised matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.decomposition import row_factors

TEXT_SHARE = 0.33
"""Share of a width that goes to factors of the texts; the rest is for the interactions."""


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


def side_by_side(
    collaborative: NDArray[np.float32],
    content: NDArray[np.float32],
    power: float,
    text_weight: float,
) -> NDArray[np.float32]:
    """Concatenate ``U·S^power`` and the weighted text factors, scaled to mean norm one."""
    # The columns of U·√S have norm √S; multiplying by its (2·power − 1)-th power gives U·S^power.
    lengths = np.linalg.norm(collaborative, axis=0)
    interactions = _mean_length_one(collaborative * lengths ** (2 * power - 1))
    both = np.concatenate([interactions, text_weight * _mean_length_one(content)], axis=1)
    return _mean_length_one(both)


def _mean_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1)
    mean = float(lengths.mean()) if vectors.size else 0.0
    return (vectors / mean).astype(np.float32) if mean > 0 else vectors
