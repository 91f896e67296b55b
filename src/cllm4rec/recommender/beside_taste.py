"""How what a query asks for is weighed beside taste or popularity."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec.recommender.titles import LIFT

WEIGHT = 0.25
"""Of a query's standardised scores, beside standardised scores of taste."""
EVERY_WORD = 4.0
"""Added to the standardised scores of items that have every word of the query, at least."""
BEST, BEST_OF_ALL_WORDS = 14.0, 20.0
"""Least standardised score of the best item, and of the best that has every word. A word that many
items have is far from no mean: without this it would say little beside taste."""

Scores = NDArray[np.float32]


class Wanted(NamedTuple):
    """What a query asks for.

    Attributes:
        words: to add to standardised scores of taste, ``float32 [items]``.
        titles: nearness of the items' titles to the query, ``float32 [items]``.
    """

    words: Scores
    titles: Scores

    def beside(self, taste: Scores) -> Scores:
        """Scores of lists ``[rows, items]`` from those of taste, or of popularity.

        Near titles are lifted above every other, whatever the taste, and nearer ones above these.
        """
        scores = standardised(taste) + self.words
        near = np.flatnonzero(self.titles)
        if len(near):
            width = scores.max(axis=1, keepdims=True) - scores.min(axis=1, keepdims=True)
            _, rank = np.unique(self.titles[near], return_inverse=True)
            lift = np.float32(LIFT) * np.maximum(width, 1)  # where all are level too
            scores[:, near] += lift * (rank + 1).astype(np.float32)
        return scores


def weighed(found: Scores, having_all: NDArray[np.bool_]) -> Scores:
    """Standardised scores of a query, and a lift for items that have every word of it.

    Args:
        found: scores of all items, ``[items]``.
        having_all: which have every word.
    """
    words: Scores = standardised(found[None])[0]
    if (best := float(words.max())) > 0:
        words *= np.float32(max(1.0, BEST / best))
    if having_all.any():
        best = float(words[having_all].max())
        words[having_all] += np.float32(max(EVERY_WORD, BEST_OF_ALL_WORDS - best))
    return words


def standardised(scores: Scores) -> Scores:
    """Rows of mean 0 and std 1; a row of equal scores becomes zeros."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    std = centred.std(axis=1, keepdims=True)
    flat = std <= 1e-6 * np.abs(scores).max(axis=1, keepdims=True)
    return np.where(flat, np.float32(0), centred / np.where(flat, np.float32(1), std))
