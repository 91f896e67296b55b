"""The regression from properties by dense normal equations with an explicit intercept."""

import numpy as np


def rates(one_hot, interactions, own, l2):
    """``interactions ≈ [1, one_hot] W`` with a penalty on all of W but the first row."""
    with_one = np.concatenate([np.ones((len(one_hot), 1)), one_hot], axis=1)
    penalty = l2 * np.eye(with_one.shape[1])
    penalty[0, 0] = 0
    weights = np.linalg.solve(with_one.T @ with_one + penalty, with_one.T @ interactions)
    return np.concatenate([[1.0], own]) @ weights
