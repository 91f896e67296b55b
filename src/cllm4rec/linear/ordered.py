"""EASE where a history has an order: proximity in time and the age of its items.

Whole histories say which items go together; windows of them also say which come close together in
time, so that the gram matrices of both are averaged. Where the newest items are to be predicted,
older items of a history weigh less.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Bias, Fitted, Weights
from cllm4rec.linear.sparse_arrays import scaled

WINDOWS = (3, 5, 10)
"""Window lengths: each run of consecutive items counts as an additional user."""

CALIBRATION_USERS = 200
"""Histories from which the scale of each averaged model is estimated."""


def windowed_weights(
    train: Interactions,
    fit: Callable[[csr_matrix], Fitted],
    roots: NDArray[np.float32] | None = None,
) -> Fitted:
    """Mean of EASE on whole histories and on each window length, scaled to equal std of scores.

    Args:
        train: histories, oldest item first.
        fit: item-to-item weights, dense or sparse, from histories ``[rows, items]``, whose entries
            are the square roots of the rows' weights.
        roots: of the histories' weights, ``[users]``; a window has its history's. None: ones.

    Returns:
        As ``fit``'s, with a zero diagonal.
    """
    roots = np.ones(train.num_users, np.float32) if roots is None else roots
    asked = train.matrix()
    some, whole = asked[: min(train.num_users, CALIBRATION_USERS)], scaled(asked, roots)
    weights: Weights = None
    bias: Bias = None
    lengths: Sequence[int | None] = (None, *WINDOWS)
    with progress.task("Fitting windows", total=len(lengths), unit="fit") as task:
        for length in lengths:
            rows = whole
            if length is not None:
                # Each item is in `length` windows; windows count twice as much as whole histories.
                of_windows = np.repeat(roots, windows_of(train, length))
                windows = cut(train, length).matrix()
                windows = scaled(windows, of_windows * np.float32(np.sqrt(2 / length)))
                rows = vstack([whole, windows], format="csr")
            fitted = fit(rows)
            factor = np.float32(1 / max(float(fitted.scores(some).std(axis=1).mean()), 1e-9))
            own = fitted.weights
            own *= factor
            if weights is None:
                weights = own
            else:
                weights += own  # in place where dense: a matrix takes half a gigabyte or more
            if fitted.bias is not None:
                bias = fitted.bias * factor + (0 if bias is None else bias)
            del fitted, own
            task.advance()
    return Fitted(weights, bias)


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
    counts, windows = histories.counts(), windows_of(histories, length)
    sizes = np.repeat(np.minimum(counts, length), windows)
    starts = np.repeat(histories.offsets[:-1], windows) + _places(windows)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    items = histories.items[np.repeat(starts, sizes) + _places(sizes)]
    return Interactions(offsets, items, histories.num_items)


def windows_of(histories: Interactions, length: int) -> NDArray[np.int64]:
    """Number of windows of each history that `cut` makes."""
    counts = histories.counts()
    return np.where(counts > 0, np.maximum(counts - length + 1, 1), 0)


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … within each of the groups of so many."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def ages(histories: Interactions) -> NDArray[np.int64]:
    """Age of each item: the number of later items in its history."""
    ends = np.repeat(histories.offsets[1:], histories.counts())
    age: NDArray[np.int64] = ends - 1 - np.arange(len(histories))
    return age
