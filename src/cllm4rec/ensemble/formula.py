"""The formula of the blend: ``(1 - w) · L + w · E`` with the blend weight w.

L is the square root of the language model's item probabilities, standardised per row (mean 0,
std 1). E is the linear model's scores, divided by their std per row. Rows of equal scores are not
divided. Items without a training interaction have E alone: the language model was never asked to
tell them from others, and its logits for them have no common zero (docs/decisions/0046).

After few items w may be smaller, and L and what those items have are then others (`RowWeights`,
docs/decisions/0048).

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
        share: w as a share of that of whole histories, at most 1: below it a history is short,
            ``float32 [rows, 1]``.
        own: row and number of each item of the histories, ``int64 [interactions]`` each.
    """

    linear: Tensor
    share: Tensor
    own: tuple[Tensor, Tensor]


def language_half_of_rows_(logits: Tensor, weight: RowWeights) -> Tensor:
    """L from ``logits [rows, items]``, in place: of short histories partly L of the other items.

    A language model of sets is nearly sure of the one item that it was told. In L that item takes
    all the deviation, and leaves none to the items that can be listed. So L is standardised over
    what is not in the history, too, and a row has ``share`` of the one and the rest of the other.
    """
    short = (weight.share[:, 0] < 1).nonzero()[:, 0]
    if not len(short):
        return language_half_(logits)
    others, share = _half_of_others(logits, short, weight.own), weight.share[short]
    language = language_half_(logits)
    return language.index_copy_(0, short, language[short] * share + others * (1 - share))


def blend_(
    language: Tensor,
    linear: Tensor,
    weight: float | RowWeights,
    unseen: Tensor | None = None,
) -> Tensor:
    """Blend both halves; overwrites ``language``.

    Args:
        language: from `language_half_`; with weights of rows from `language_half_of_rows_`.
        linear: from `linear_half_`; unchanged.
        weight: w, of the linear model; the number 0 leaves the language model alone, for all items.
        unseen: numbers of the items that have E alone; None for none. In short histories they have
            ``share`` of E and the rest of the row's least L: E after one item would bring them to
            the top.
    """
    if isinstance(weight, RowWeights):
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


def _half_of_others(logits: Tensor, rows: Tensor, own: tuple[Tensor, Tensor]) -> Tensor:
    """L of some rows over what is not in the histories; what is in them stands at its top.

    From the logits, as L has no room for differences far below the one item that takes it all.
    Zeros in a row that leaves no item.
    """
    places = torch.full((len(logits),), -1, dtype=torch.int64)
    places[rows] = torch.arange(len(rows))
    near = places[own[0]]
    at = near[near >= 0], own[1][near >= 0]
    others = logits[rows].index_put_(at, logits.new_tensor(-torch.inf))
    count = others.shape[1] - torch.bincount(at[0], minlength=len(rows)).unsqueeze(1)
    top = others.amax(dim=1, keepdim=True).masked_fill_(count == 0, 0)
    roots = others.sub_(top).mul_(0.5).exp_()
    count = count.clamp_min_(1)
    mean = roots.sum(dim=1, keepdim=True) / count
    centred = roots.sub_(mean).index_put_(at, logits.new_zeros(()))
    norm = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    half = centred.mul_(_inverse(norm / count.sqrt(), mean))
    return half.index_put_(at, half.amax(dim=1)[at[0]])


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
    norm = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return _inverse(norm / centred.shape[1] ** 0.5, mean)


def _inverse(std: Tensor, mean: Tensor) -> Tensor:
    return std.reciprocal().masked_fill_(std <= ROUNDING * mean.abs(), 1.0)
