"""EASE's closed form in one call, as no caller of the grid's steps needs it."""

import numpy as np

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import add_texts, gram_matrix, inverse_gram, weights_of


def ease_weights(
    train: Interactions,
    *,
    l2: float,
    text_vectors: np.ndarray | None = None,
    alpha: float = 0.0,
) -> np.ndarray:
    """Item-to-item weights ``B = I - P / diag(P)``, with ``P = (X'X + alpha AA' + l2 I)^-1``."""
    inverse = inverse_gram(gram_matrix(train), l2)
    if text_vectors is not None:
        inverse = add_texts(inverse, text_vectors, alpha)
    return weights_of(inverse)
