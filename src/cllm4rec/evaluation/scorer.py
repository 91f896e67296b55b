"""Item-to-item linear scorers, the form of most baselines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer

__all__ = ["Scorer", "WeightsScorer"]


@dataclass(frozen=True, slots=True, eq=False)
class WeightsScorer:
    """Item-to-item weights: the score of an item is the sum over the history's items.

    Attributes:
        weights: ``float32 [items, items]``, row = item of the history; dense or sparse.
    """

    weights: NDArray[np.float32] | csr_matrix

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        scores = history.matrix() @ self.weights
        return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray())
