"""The k best items of every row of scores, without known ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.arguments import shown
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, RunError

NO_ITEM = -1
"""Stands in a list where there was no further candidate."""
GROUP = 16
"""Columns of which only the best is looked at first."""
_LOW_BITS = np.int64(0xFFFFFFFF)
_NO_KEY = np.iinfo(np.int64).min


def list_length(k: int, num_items: int) -> int:
    """``k``, at most the catalogue's size, since every place of a list takes memory.

    Raises:
        InputError: ``k`` is not a positive whole number.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise InputError(f"k = {shown(k)} is no whole number; give a k of at least 1")
    if k < 1:
        raise InputError(f"k = {shown(k)} asks for no item; give a k of at least 1")
    return min(int(k), num_items)


def top_k(
    scores: NDArray[np.floating[Any]],
    known: Interactions,
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``k`` best items of every row, best first; ties go to the smaller item number.

    Args:
        scores: ``[batch, items]``, compared as float32; −inf means never.
        known: items to exclude, one row per row of ``scores``.
        k: length of the lists.
        allowed: ``bool [items]``; if given, only these are listed.

    Returns:
        Items ``int32 [batch, k]`` and scores ``float32 [batch, k]``; short lists are padded with
        item −1 and score −inf.

    Raises:
        RunError: a score is NaN or +inf.
    """
    # Adding zero makes −0 a +0: they compare equal, but their bits do not.
    masked = np.add(scores, np.float32(0), dtype=np.float32)
    masked[known.users(), known.items] = -np.inf
    if allowed is not None:
        masked[:, ~allowed] = -np.inf
    batch, num_items = masked.shape
    items = np.full((batch, k), NO_ITEM, dtype=np.int32)
    best = np.full((batch, k), -np.inf, dtype=np.float32)
    taken = min(k, num_items)
    if taken == 0 or batch == 0:
        return items, best
    maxima = _maxima(masked, k)
    _refuse_diverged(maxima)
    # The k-th largest maximum is no larger than the k-th best score: what reaches it holds the
    # list. Minus infinity is never listed.
    kept = min(k, maxima.shape[1])
    bound = np.partition(maxima, maxima.shape[1] - kept, axis=1)[:, -kept, None]
    rows, numbers = np.nonzero(masked >= np.maximum(bound, np.finfo(np.float32).min))
    counts = np.bincount(rows, minlength=batch)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    # One integer per candidate, score above and item below, sorts both ways at once.
    keys = np.full((batch, max(taken, int(counts.max()))), _NO_KEY)
    bits = _ordered(masked[rows, numbers].view(np.int32)).astype(np.int64)
    keys[rows, place] = (bits << 32) | (_LOW_BITS - numbers)
    keys = np.sort(keys, axis=1)[:, ::-1][:, :taken]
    is_item = keys != _NO_KEY
    found = _ordered((keys >> 32).astype(np.int32)).view(np.float32)
    best[:, :taken] = np.where(is_item, found, -np.inf)
    items[:, :taken] = np.where(is_item, _LOW_BITS - (keys & _LOW_BITS), NO_ITEM)
    return items, best


def _maxima(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """The best of every group of columns, the last columns each for itself."""
    groups = scores.shape[1] // GROUP
    if groups < 2 * k:
        return scores
    # Columns g, g + groups, g + 2·groups, … are a group: its maximum is taken along whole rows.
    whole = scores[:, : groups * GROUP].reshape(-1, GROUP, groups).max(axis=1)
    return np.concatenate([whole, scores[:, groups * GROUP :]], axis=1)


def _refuse_diverged(maxima: NDArray[np.float32]) -> None:
    """Refuse NaN and +inf; both propagate to a maximum, so checking maxima is enough."""
    finite = (maxima < np.inf).all(axis=1)
    if not finite.all():
        raise RunError(
            f"row {int(np.argmin(finite))} of the scores holds a NaN or +inf: the model has "
            f"diverged; train again with a lower learning_rate (finetune.learning_rate for a run's "
            f"model)"
        )


def _ordered(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Float32 bits as integers that sort like the floats; its own inverse."""
    ordered: NDArray[np.int32] = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return ordered
