"""How the language model's scores and the linear model's become one."""

import numpy as np

from cllm4rec.ranking import root_likelihood, standardised


def blendable(logits: np.ndarray) -> np.ndarray:
    """The language model's half of a blend: square roots of probabilities, mean 0 and spread one.

    The mean moves no item past another, but one item's scores after two histories are compared
    (`reasons`), and roots of nearly equal probabilities lie many spreads above zero.
    """
    roots = root_likelihood(logits)
    return standardised(roots - roots.mean(axis=1, keepdims=True))


def blended(llm: np.ndarray, prior: np.ndarray, share: float) -> np.ndarray:
    """``(1 - share) · llm + share · prior``."""
    return np.asarray((1 - share) * llm + share * prior, dtype=np.float32)
