"""Item-to-item linear scorers, the form of most baselines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Bias, Fitted, Weights
from cllm4rec.ranking import Scorer

__all__ = ["Scorer", "WeightsScorer"]


@dataclass(frozen=True, slots=True, eq=False)
class WeightsScorer:
    """Item-to-item weights: the score of an item is the sum over the history's items, and its bias.

    Attributes:
        weights: ``float32 [items, items]``, row = item of the history; dense or sparse.
        bias: ``float32 [items]``; None for none.
    """

    weights: Weights
    bias: Bias = None

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        return Fitted(self.weights, self.bias).scores(history.matrix())
