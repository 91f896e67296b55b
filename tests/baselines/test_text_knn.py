import numpy as np

from cllm4rec.baselines.text_knn import TextScorer
from cllm4rec.data.interactions import Interactions


def test_scores_are_the_mean_of_the_history_times_the_item():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    history = Interactions.from_lists([[0, 1], [2], []], 3)
    scores = TextScorer(vectors).score(np.arange(3), history)
    wanted = [[0.5, 0.5, 0.7], [0.6, 0.8, 1.0], [0, 0, 0]]
    np.testing.assert_allclose(scores, wanted, atol=1e-6)
