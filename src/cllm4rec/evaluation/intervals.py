"""Bootstrap intervals of means over users, and a paired test of two models."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cllm4rec.seeds import generator

_DRAWS_AT_ONCE = 1 << 22


def bootstrap_interval(
    values: NDArray[np.float64], resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the mean over users (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: one per user, without NaN; at least one.
        resamples: number of bootstrap samples of the users.
        seed: the same seed draws the same users for every metric and model.
    """
    means = np.concatenate(list(_resampled_means(values, resamples, seed)))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def paired_bootstrap_p(
    a: NDArray[np.float64], b: NDArray[np.float64], resamples: int = 1000, seed: int = 0
) -> float:
    """Two-sided p-value of "both models have the same mean" (same book, chapter 16).

    The differences are shifted to mean zero and resampled; p is the fraction of samples, including
    the observed one, whose mean is at least as far from zero as the observed mean.

    Args:
        a: one value per user.
        b: the other model's values for the same users in the same order.
        resamples: number of bootstrap samples of the users.
        seed: of the draws.

    Raises:
        ValueError: the two have different lengths.
    """
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} values against {len(b)}: a paired test needs the same users")
    differences = a - b
    observed = abs(differences.mean())
    centred = differences - differences.mean()
    means = np.concatenate(list(_resampled_means(centred, resamples, seed)))
    # Tolerance: with rounding errors, equal models would look different.
    extreme = np.count_nonzero(np.abs(means) >= observed - 1e-12)
    return (1 + extreme) / (1 + resamples)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """p-values of several hypotheses, adjusted so that a false claim among all is as unlikely.

    Source: Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, 1979. The smallest of n
    is multiplied by n, the next by n − 1, and so on; none may be below the one before, or above 1.

    Args:
        p_values: in any order; the result has the same.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(by_size):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _resampled_means(
    values: NDArray[np.float64], resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    rng = generator(seed, "bootstrap")
    at_once = max(1, _DRAWS_AT_ONCE // len(values))
    for start in range(0, resamples, at_once):
        size = (min(at_once, resamples - start), len(values))
        yield values[rng.integers(len(values), size=size, dtype=np.int32)].mean(axis=1)
