"""The k best of every row on torch: the lists of `ranking.top_k`, in a fraction of its time."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.errors import RunError
from cllm4rec.ranking import NO_ITEM

GROUP = 16
"""Columns of which only the best is looked at first."""


def top_k_(
    scores: Tensor, rows: Tensor, items: Tensor, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``k`` best items of every row, best first; ties go to the smaller item number.

    The k-th largest of the groups' maxima is no larger than the k-th best score, so that whatever
    reaches it holds the list; those few are sorted.

    Args:
        scores: ``float32 [batch, items]``; written into. −inf means never.
        rows: rows of the items to leave out, ``int64 [known]``.
        items: those items, ``int64 [known]``.
        k: length of the lists.

    Returns:
        As :func:`cllm4rec.ranking.top_k`.

    Raises:
        RunError: a score is NaN or +inf.
    """
    batch, num_items = scores.shape
    best = np.full((batch, k), -np.inf, np.float32)
    found = np.full((batch, k), NO_ITEM, np.int32)
    if num_items == 0 or batch == 0:
        return found, best
    scores.index_put_((rows, items), torch.tensor(-torch.inf))
    maxima = _maxima(scores, k)
    if not bool((maxima < torch.inf).all()):
        row = int((~(maxima < torch.inf)).any(dim=1).nonzero()[0])
        raise RunError(
            f"row {row} of the scores holds a NaN or +inf: the model has diverged; "
            f"train again with a lower learning_rate (finetune.learning_rate for a run's model)"
        )
    bound = maxima.topk(min(k, maxima.shape[1])).values[:, -1:]
    # Minus infinity is never listed; where there are fewer than k candidates it is the bound.
    bound = bound.clamp_min(torch.finfo(torch.float32).min)
    at, numbers = np.nonzero((scores >= bound).numpy())
    counts = np.bincount(at, minlength=batch)
    place = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = int(counts.max(initial=0))
    candidates = torch.full((batch, width), -torch.inf)
    candidates[at, place] = scores[at, numbers]
    columns = np.full((batch, width), NO_ITEM, np.int32)
    columns[at, place] = numbers
    # The candidates of a row stand in the order of their numbers: a stable sort keeps to it.
    ordered, order = candidates.sort(dim=1, descending=True, stable=True)
    taken = min(k, width)
    best[:, :taken] = ordered[:, :taken].numpy()
    found[:, :taken] = np.take_along_axis(columns, order[:, :taken].numpy(), axis=1)
    return found, best


def _maxima(scores: Tensor, k: int) -> Tensor:
    """The best of every group of columns, the last columns each for itself."""
    num_items = scores.shape[1]
    groups = num_items // GROUP
    if groups < 2 * k:
        return scores
    # Columns g, g + groups, g + 2·groups, … are a group: its maximum is taken along whole rows.
    whole = scores[:, : groups * GROUP].reshape(-1, GROUP, groups).amax(dim=1)
    return torch.cat([whole, scores[:, groups * GROUP :]], dim=1)
