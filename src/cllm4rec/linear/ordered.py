"""EASE where a history has an order: proximity in time and the age of its items.

Whole histories say which items go together; windows of them also say which come close together in
time, so that the gram matrices of both are averaged. Where the newest items are to be predicted,
older items of a history weigh less.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions

WINDOWS = (3, 5, 10)
"""Window lengths: each run of consecutive items counts as an additional user."""
Weights: TypeAlias = NDArray[np.float32] | Any  # or csr_array, which is untyped

CALIBRATION_USERS = 200
"""Histories from which the scale of each averaged model is estimated."""


def windowed_weights(train: Interactions, fit: Callable[[csr_matrix], Weights]) -> Weights:
    """Mean of EASE on whole histories and on each window length, scaled to equal std of scores.

    Args:
        train: histories, oldest item first.
        fit: item-to-item weights, dense or sparse, from histories ``[rows, items]``, whose entries
            are the square roots of the rows' weights.

    Returns:
        As ``fit``'s, with a zero diagonal.
    """
    whole = train.matrix()
    some = whole[: min(train.num_users, CALIBRATION_USERS)]
    total: Weights = None
    lengths: Sequence[int | None] = (None, *WINDOWS)
    with progress.task("Fitting windows", total=len(lengths), unit="fit") as task:
        for length in lengths:
            rows = whole
            if length is not None:
                # Each item is in `length` windows; windows count twice as much as whole histories.
                windows = cut(train, length).matrix()
                windows.data *= np.float32(np.sqrt(2 / length))
                rows = vstack([whole, windows], format="csr")
            weights = fit(rows)
            scores = some @ weights
            dense = scores if isinstance(scores, np.ndarray) else scores.toarray()
            weights /= max(float(dense.std(axis=1).mean()), 1e-9)
            if total is None:
                total = weights
            else:
                total += weights  # in place where dense: a matrix takes half a gigabyte or more
            del weights
            task.advance()
    return total


def aged_matrix(history: Interactions, decay: float) -> csr_matrix:
    """Histories ``[users, items]``, each entry ``decay`` to the power of the item's age."""
    matrix = history.matrix()
    if decay < 1:
        weights = (decay ** ages(history)).astype(np.float32)
        # `matrix()` sorts the columns within a row, so the ages are sorted the same way.
        matrix.data = weights[np.lexsort((history.items, history.users()))]
    return matrix


def cut(histories: Interactions, length: int) -> Interactions:
    """Sliding windows of ``length`` items, one per row; a shorter history is one row."""
    counts = histories.counts()
    windows = np.where(counts > 0, np.maximum(counts - length + 1, 1), 0)
    sizes = np.repeat(np.minimum(counts, length), windows)
    starts = np.repeat(histories.offsets[:-1], windows) + _places(windows)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    items = histories.items[np.repeat(starts, sizes) + _places(sizes)]
    return Interactions(offsets, items, histories.num_items)


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … within each of the groups of so many."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def ages(histories: Interactions) -> NDArray[np.int64]:
    """Age of each item: the number of later items in its history."""
    ends = np.repeat(histories.offsets[1:], histories.counts())
    age: NDArray[np.int64] = ends - 1 - np.arange(len(histories))
    return age
