import numpy as np

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.data.interactions import Interactions


def test_scores_count_training_users():
    train = Interactions.from_lists([[0, 2], [2], [2, 0], []], 4)
    [(settings, scorer)] = baseline_named("popularity").candidates(train, Context(4, [""] * 4))
    assert settings == {}
    assert scorer.score(np.array([3, 9]), train.rows([3, 0])).tolist() == [[2, 0, 3, 0]] * 2
