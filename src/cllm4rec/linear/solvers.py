"""EASE at several settings: exactly, or by each item's nearest where the catalogue is large."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import add_texts, gram_matrix, gram_of, inverse_gram, weights_of
from cllm4rec.linear.ordered import Weights, windowed_weights
from cllm4rec.linear.sparse_ease import nearest_items, sparse_weights
from cllm4rec.linear.transitions import DirectedWeights, with_transitions

MAX_WEIGHTS = 2**28
"""Most weights of the settings that are solved in one pass by `ByNeighbours`: 1 GiB."""


@dataclass(frozen=True, eq=False)
class Solver(ABC):
    """Item-to-item weights of EASE, row = item of the history.

    Attributes:
        train: interactions to fit on.
        text_vectors: ``[items, d]``; d may be 0.
    """

    train: Interactions
    text_vectors: NDArray[np.float32]

    @abstractmethod
    def fits(
        self, settings: Sequence[tuple[float, float]], transitions: float = 0.0
    ) -> Iterator[Weights]:
        """Weights for each pair of l2 and alpha, in order.

        Args:
            settings: l2, above 0, and alpha, at least 0.
            transitions: weight of `past_and_future` beside whole histories; 0: none.
        """

    @abstractmethod
    def weights(self, matrix: csr_matrix, l2: float, alpha: float) -> Weights:
        """Weights fitted on other rows ``[rows, items]``, whose entries may be any weight."""

    def windowed(self, l2: float, alpha: float) -> Weights:
        """`windowed_weights` of these interactions."""
        return windowed_weights(self.train, lambda matrix: self.weights(matrix, l2, alpha))


class Exact(Solver):
    """Dense: one factorisation per l2, to which texts are added by Woodbury's identity."""

    def fits(
        self, settings: Sequence[tuple[float, float]], transitions: float = 0.0
    ) -> Iterator[NDArray[np.float32]]:
        """Dense weights; neighbours in ``settings`` of equal l2 share its factorisation."""
        if transitions:
            inputs, targets = with_transitions(self.train, transitions)
            gram, crossed = gram_of(inputs), (inputs.T @ targets).tocsr()
        else:
            gram, crossed = gram_matrix(self.train), None
        for l2, same in groupby(settings, key=lambda each: each[0]):
            inverse = inverse_gram(gram, l2)
            if crossed is None:
                for _, alpha in same:
                    yield weights_of(add_texts(inverse, self.text_vectors, alpha))
            else:
                directed = DirectedWeights(inverse, crossed)
                for _, alpha in same:
                    yield directed.with_texts(self.text_vectors, alpha)

    def weights(self, matrix: csr_matrix, l2: float, alpha: float) -> NDArray[np.float32]:
        """Dense weights."""
        inverse = inverse_gram(gram_of(matrix), l2)
        return weights_of(add_texts(inverse, self.text_vectors, alpha))


@dataclass(frozen=True, eq=False)
class ByNeighbours(Solver):
    """Sparse: each item's regression on its nearest items alone.

    Attributes:
        neighbours: most of an item.
    """

    neighbours: int

    @cached_property
    def nearest(self) -> NDArray[np.int32]:
        """Of each item, ``int32 [items, neighbours]``; found at the first use and kept."""
        return nearest_items(self.train, self.text_vectors, self.neighbours)

    def fits(
        self, settings: Sequence[tuple[float, float]], transitions: float = 0.0
    ) -> Iterator[csr_array]:
        """Sparse weights; as many settings are solved together as `MAX_WEIGHTS` allows."""
        together = max(1, MAX_WEIGHTS // max(1, self.nearest.size))
        inputs, targets = self.train.matrix(), None
        if transitions:
            inputs, targets = with_transitions(self.train, transitions)
        for start in range(0, len(settings), together):
            some = settings[start : start + together]
            yield from sparse_weights(inputs, self.nearest, self.text_vectors, some, targets)

    def weights(self, matrix: csr_matrix, l2: float, alpha: float) -> csr_array:
        """Sparse weights."""
        return sparse_weights(matrix, self.nearest, self.text_vectors, [(l2, alpha)])[0]


def solver(
    train: Interactions, text_vectors: NDArray[np.float32], neighbours: int | None
) -> Solver:
    """The solver for that many neighbours; None for all items."""
    if neighbours is None:
        return Exact(train, text_vectors)
    return ByNeighbours(train, text_vectors, neighbours)
