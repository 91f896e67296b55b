"""The blend of a language model's and a linear model's scores: the one formula.

``(1 - w) · L + w · E`` with the blend weight w. L is the square roots of the language model's item
probabilities, less their mean, over their standard deviation; E is the linear model's scores over
theirs. A row of equal scores is not divided.

Square roots draw together what is far below the best, as regression scores do; logits added to
them would weigh differences among unlikely items that say nothing (docs/decisions/0014). L's mean
moves no item past another, but one item's scores after two histories are compared (`explain`), and
roots of nearly equal probabilities lie many deviations above zero.
"""

import torch
from torch import Tensor

ROUNDING = 1e-6
"""Deviation, as a share of the mean, that rounding the mean alone leaves a row of equal scores."""


def language_half_(logits: Tensor) -> Tensor:
    """L of ``logits [rows, items]``, in their place.

    What is no number stays none: `top_k` refuses it.
    """
    roots = logits.sub_(logits.amax(dim=1, keepdim=True)).mul_(0.5).exp_()
    mean = _centre_(roots)
    return roots.mul_(_inverse_std(roots, mean))


def linear_half_(scores: Tensor) -> Tensor:
    """E of ``scores [rows, items]``, in their place."""
    mean = _centre_(scores)
    factor = _inverse_std(scores, mean)
    return scores.mul_(factor).add_(mean.mul_(factor))


def blend_(language: Tensor, linear: Tensor, weight: float) -> Tensor:
    """Both halves blended, in the place of ``language``.

    Args:
        language: from `language_half_`.
        linear: from `linear_half_`; as it was afterwards.
        weight: w, of the linear model.
    """
    return language.mul_(1 - weight).add_(linear, alpha=weight)


def _centre_(scores: Tensor) -> Tensor:
    """Take each row's mean off; the means."""
    mean = scores.mean(dim=1, keepdim=True)
    scores.sub_(mean)
    return mean


def _inverse_std(centred: Tensor, mean: Tensor) -> Tensor:
    """1 / standard deviation of rows whose ``mean`` was taken off; 1 for a row of equal scores."""
    std: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True) / centred.shape[1] ** 0.5
    return std.reciprocal().masked_fill_(std <= ROUNDING * mean.abs(), 1.0)
