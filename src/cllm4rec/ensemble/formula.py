"""The formula of the blend: ``(1 - w) · L + w · E`` with the blend weight w.

w may differ from row to row: after few items it is another than after many.

L is the square root of the language model's item probabilities, standardised per row (mean 0,
std 1). E is the linear model's scores, divided by their std per row. Rows of equal scores are not
divided. Items without a training interaction have E alone: the language model was never asked to
tell them from others, and its logits for them have no common zero (docs/decisions/0046).

Square roots compress differences among unlikely items, as regression scores do; with logits, those
meaningless differences would dominate the blend (docs/decisions/0014). Subtracting L's mean does
not change a ranking, but `explain` compares an item's scores under two histories, and the roots of
nearly equal probabilities lie many standard deviations above zero.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cllm4rec.data.interactions import Interactions

ROUNDING = 1e-6
"""Relative std that rounding of the mean leaves in a row of equal scores."""


def language_half_(logits: Tensor) -> Tensor:
    """L from ``logits [rows, items]``, in place; NaN stays NaN, for `top_k` to refuse."""
    roots = logits.sub_(logits.amax(dim=1, keepdim=True)).mul_(0.5).exp_()
    mean = _centre_(roots)
    return roots.mul_(_inverse_std(roots, mean))


def linear_half_(scores: Tensor) -> Tensor:
    """E from ``scores [rows, items]``, in place."""
    mean = _centre_(scores)
    factor = _inverse_std(scores, mean)
    return scores.mul_(factor).add_(mean.mul_(factor))


class RowWeights(NamedTuple):
    """Blend weights of rows.

    Attributes:
        linear: w of each row, ``float32 [rows, 1]``.
        share: how far a history is not short: 1 where w is that of whole histories, 0 where it is
            0, ``float32 [rows, 1]``.
        own: row and number of each item of the histories, ``int64 [interactions]`` each.
    """

    linear: Tensor
    share: Tensor
    own: tuple[Tensor, Tensor]


def blend_(
    language: Tensor,
    linear: Tensor,
    weight: float | RowWeights,
    unseen: Tensor | None = None,
) -> Tensor:
    """Blend both halves; overwrites ``language``.

    Args:
        language: from `language_half_`.
        linear: from `linear_half_`; unchanged.
        weight: w, of the linear model; the number 0 leaves the language model alone, for all items.
        unseen: numbers of the items that have E alone; None for none. In short histories they have
            as much of E as counts there, and else the least L of the row: E after one item would
            bring them to the top.
    """
    if isinstance(weight, RowWeights):
        _of_the_others_(language, weight)
        least = language.amin(dim=1, keepdim=True) * (1 - weight.share)
        blended = language.mul_(1 - weight.linear).add_(linear * weight.linear)
        if unseen is not None:
            own = linear.index_select(1, unseen) * weight.share
            blended.index_copy_(1, unseen, own + least)
        return blended
    blended = language.mul_(1 - weight).add_(linear, alpha=weight)
    if weight and unseen is not None:
        blended.index_copy_(1, unseen, linear.index_select(1, unseen))
    return blended


def _of_the_others_(language: Tensor, weight: RowWeights) -> None:
    """Standardise L over what is not in the history, as far as that is short; in place.

    A language model of sets is nearly sure of the one item that it was told. It would take all the
    deviation, and leave none to the items that can be listed.
    """
    if (weight.share >= 1).all():
        return
    others = language.index_put(weight.own, language.new_zeros(()))
    count = torch.full_like(weight.share, language.shape[1])
    count.view(-1).sub_(torch.bincount(weight.own[0], minlength=len(language)))
    mean = others.sum(dim=1, keepdim=True) / count
    std = (others.square().sum(dim=1, keepdim=True) / count - mean.square()).clamp_min(0).sqrt()
    short = 1 - weight.share
    std = std.masked_fill_(std <= ROUNDING, 1.0)
    top = others.amax(dim=1, keepdim=True).expand_as(language)[weight.own]
    own, near = language[weight.own], short[weight.own[0], 0]
    language.index_put_(weight.own, own - near * (own - top).clamp_min(0))
    language.sub_(mean * short).div_(std**short)


def unseen_items(train: Interactions) -> Tensor | None:
    """Numbers of the items without a training interaction, ``int64``; None where there are none."""
    unseen = np.flatnonzero(train.item_counts() == 0)
    return torch.from_numpy(unseen) if len(unseen) else None


def _centre_(scores: Tensor) -> Tensor:
    """Subtract each row's mean, in place; return the means."""
    mean = scores.mean(dim=1, keepdim=True)
    scores.sub_(mean)
    return mean


def _inverse_std(centred: Tensor, mean: Tensor) -> Tensor:
    """1 / std of rows already centred by ``mean``; 1 for rows of equal scores."""
    std: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True) / centred.shape[1] ** 0.5
    return std.reciprocal().masked_fill_(std <= ROUNDING * mean.abs(), 1.0)
