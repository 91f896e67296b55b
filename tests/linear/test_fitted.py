"""Item-to-item linear models score by sums over a history."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Fitted

WEIGHTS = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]], np.float32)


@pytest.mark.parametrize("weights", [WEIGHTS, csr_matrix(WEIGHTS)])
def test_scores_are_sums_over_the_history(weights):
    history = Interactions.from_lists([[2, 0], [], [1]], 3)
    scores = Fitted(weights).score(np.array([5, 6, 7]), history)
    assert scores.dtype == np.float32
    assert type(scores) is np.ndarray
    assert scores.tolist() == [[5, 7, 2], [0, 0, 0], [3, 0, 4]]
