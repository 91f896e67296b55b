"""The rows of EASE's regression: histories, what comes next in them, and what each counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, vstack

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.sparse_arrays import scaled
from cllm4rec.linear.transitions import past_and_future


class Rows(NamedTuple):
    """How histories become rows.

    Attributes:
        transitions: weight of what comes next (`cllm4rec.linear.transitions`); 0: none.
        constant: value of a feature that every row has, which is regularised as the items are. Its
            weights are biases: what of an item's score does not depend on the history. 0: none.
        length_power: p; a history of n items counts n^−p, so that long ones do not count by the
            square of their length. The mean over interactions is 1.
    """

    transitions: float = 0.0
    constant: float = 0.0
    length_power: float = 0.0

    def of(self, train: Interactions) -> tuple[csr_matrix, csr_matrix | None]:
        """Inputs and targets, without the constant; targets None where they are the inputs.

        Entries are multiplied by the square roots of the rows' weights.

        Args:
            train: histories, oldest item first.
        """
        roots = self.roots(train)
        whole = scaled(train.matrix(), roots)
        if not self.transitions:
            return whole, None
        counts = train.counts()
        of_cuts = np.repeat(roots, np.maximum(counts - 1, 0)) * np.float32(self.transitions**0.5)
        past, future = (scaled(each, of_cuts) for each in past_and_future(train))
        return vstack([whole, past], format="csr"), vstack([whole, future], format="csr")

    def roots(self, train: Interactions) -> NDArray[np.float32]:
        """Square roots of the histories' weights, ``float32 [users]``."""
        counts = np.maximum(train.counts(), 1).astype(np.float64)
        weights = counts**-self.length_power
        weights *= len(train) / max(float((weights * train.counts()).sum()), 1.0)
        return np.sqrt(weights).astype(np.float32)


def constant_column(matrix: csr_matrix, constant: float) -> NDArray[np.float32]:
    """The constant's entry in each row, ``float32 [rows]``: in proportion to the largest other.

    That is the square root of the row's weight; a row without an item has none.
    """
    largest = np.asarray(matrix.max(axis=1).todense(), np.float32).ravel()
    return largest * np.float32(constant)


def with_constant(matrix: csr_matrix, constant: float) -> csr_matrix:
    """Rows with the constant as one more item, the last."""
    column = csr_matrix(constant_column(matrix, constant)[:, np.newaxis])
    return hstack([matrix, column], format="csr")
