"""An item-to-item linear model as it was fitted: weights between items, and a bias of each."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.data.interactions import Interactions

Weights: TypeAlias = NDArray[np.float32] | Any  # or csr_array, which is untyped
Bias: TypeAlias = NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The scores of a history are the sum of its items' weights, and the bias.

    Attributes:
        weights: ``float32 [items, items]``, dense or sparse, row = item of the history.
        bias: ``float32 [items]``; None for none.
    """

    weights: Weights
    bias: Bias = None

    def scores(self, histories: csr_matrix) -> NDArray[np.float32]:
        """Scores ``float32 [rows, items]`` of histories as weights of items."""
        scores = histories @ self.weights
        dense = np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray())
        return dense if self.bias is None else dense + self.bias

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        return self.scores(history.matrix())

    @classmethod
    def of_rows(cls, weights: NDArray[np.float32], constant: float) -> "Fitted":
        """From dense weights whose last row, if there is a ``constant``, is that feature's."""
        if not constant:
            return cls(weights)
        return cls(weights[:-1], weights[-1] * np.float32(constant))
