"""EASE where a history has an order: proximity in time and the age of its items.

Whole histories say which items go together; windows of them also say which come close together in
time, so that the gram matrices of both are averaged. Where the newest items are to be predicted,
older items of a history weigh less.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import Matrix, add_texts, gram_matrix, inverse_gram, weights_of

WINDOWS = (3, 5, 10)
"""Window lengths: each run of consecutive items counts as an additional user."""
CALIBRATION_USERS = 200
"""Histories from which the scale of each averaged model is estimated."""


def windowed_weights(
    train: Interactions, l2: float, text_vectors: NDArray[np.float32], alpha: float
) -> NDArray[np.float32]:
    """Mean of EASE on whole histories and on each window length, scaled to equal std of scores.

    Args:
        train: histories, oldest item first.
        l2: of every model.
        text_vectors: ``[items, d]``; d may be 0.
        alpha: the texts' weight.

    Returns:
        ``float32 [items, items]`` with a zero diagonal.
    """
    gram = gram_matrix(train)
    some = train.rows(np.arange(min(train.num_users, CALIBRATION_USERS))).matrix()
    total = np.zeros((train.num_items, train.num_items), np.float32)
    lengths: Sequence[int | None] = (None, *WINDOWS)
    with progress.task("Fitting windows", total=len(lengths), unit="fit") as task:
        for length in lengths:
            together = gram
            if length is not None:
                # Each item is in `length` windows; windows count twice as much as whole histories.
                together = gram_matrix(cut(train, length))
                together *= 2 / length
                together += gram
            weights = ease_weights(together, l2, text_vectors, alpha)
            del together  # each matrix of a large catalogue takes half a gigabyte or more
            weights /= max(float((some @ weights).std(axis=1).mean()), 1e-9)
            total += weights
            task.advance()
    return total


def ease_weights(
    gram: Matrix, l2: float, text_vectors: NDArray[np.float32], alpha: float
) -> NDArray[np.float32]:
    """EASE with texts from a gram matrix, ``float32 [items, items]``."""
    return weights_of(add_texts(inverse_gram(gram, l2), text_vectors, alpha))


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
    rows: list[list[int]] = []
    for user in np.flatnonzero(histories.counts()):
        items = histories.of(int(user)).tolist()
        rows += [items[at : at + length] for at in range(max(1, len(items) - length + 1))]
    return Interactions.from_lists(rows, histories.num_items)


def ages(histories: Interactions) -> NDArray[np.int64]:
    """Age of each item: the number of later items in its history."""
    ends = np.repeat(histories.offsets[1:], histories.counts())
    age: NDArray[np.int64] = ends - 1 - np.arange(len(histories))
    return age
