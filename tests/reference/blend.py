"""The blend written out for one row, in double precision."""

import numpy as np


def language_half(logits) -> np.ndarray:
    """Roots of the softmax probabilities, less their mean, over their standard deviation."""
    odds = np.exp(np.asarray(logits, float) - np.max(logits))
    roots = np.sqrt(odds / odds.sum())
    centred = roots - sum(roots) / len(roots)
    std = np.sqrt(sum(centred**2) / len(roots))
    return centred / std if std > 0 else centred


def linear_half(scores) -> np.ndarray:
    """Scores over their standard deviation; as they are where it is zero."""
    scores = np.asarray(scores, float)
    std = np.sqrt(sum((scores - sum(scores) / len(scores)) ** 2) / len(scores))
    return scores / std if std > 0 else scores
