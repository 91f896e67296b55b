"""EASE at several settings: exactly, or by each item's nearest where the catalogue is large."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import add_texts, gram_of, inverse_gram, refuse_too_many, weights_of
from cllm4rec.linear.fitted import Fitted
from cllm4rec.linear.ordered import windowed_weights
from cllm4rec.linear.rows import Rows, with_constant
from cllm4rec.linear.sparse_ease import nearest_items, sparse_fits
from cllm4rec.linear.transitions import DirectedWeights

PLAIN_ROWS = Rows()
"""Whole histories, each counting alike."""

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
        self, settings: Sequence[tuple[float, float]], rows: Rows = PLAIN_ROWS
    ) -> Iterator[Fitted]:
        """A fit for each pair of l2 and alpha, in order.

        Args:
            settings: l2, above 0, and alpha, at least 0.
            rows: what histories become.
        """

    @abstractmethod
    def fit(self, matrix: csr_matrix, l2: float, alpha: float, constant: float = 0.0) -> Fitted:
        """A fit to other rows ``[rows, items]``, whose entries may be any weight."""

    def windowed(self, l2: float, alpha: float, rows: Rows = PLAIN_ROWS) -> Fitted:
        """`windowed_weights` of these interactions."""
        return windowed_weights(
            self.train,
            lambda matrix: self.fit(matrix, l2, alpha, rows.constant),
            rows.roots(self.train),
        )


class Exact(Solver):
    """Dense: one factorisation per l2, to which texts are added by Woodbury's identity."""

    def fits(
        self, settings: Sequence[tuple[float, float]], rows: Rows = PLAIN_ROWS
    ) -> Iterator[Fitted]:
        """Dense weights; neighbours in ``settings`` of equal l2 share its factorisation."""
        refuse_too_many(self.train.num_items)
        inputs, targets = rows.of(self.train)
        return self._fits(inputs, targets, settings, rows.constant)

    def fit(self, matrix: csr_matrix, l2: float, alpha: float, constant: float = 0.0) -> Fitted:
        """Dense weights."""
        return next(self._fits(matrix, None, [(l2, alpha)], constant))

    def _fits(
        self,
        inputs: csr_matrix,
        targets: csr_matrix | None,
        settings: Sequence[tuple[float, float]],
        constant: float,
    ) -> Iterator[Fitted]:
        items, vectors = self.train.num_items, self.text_vectors
        if constant:  # an item like others, without a text, that nobody is to be told
            inputs = with_constant(inputs, constant)
            vectors = np.vstack([vectors, np.zeros_like(vectors, shape=(1, vectors.shape[1]))])
            if targets is not None:
                targets = hstack([targets, csr_matrix((targets.shape[0], 1))], format="csr")
        gram = gram_of(inputs)
        crossed = None if targets is None else (inputs.T @ targets).tocsr()
        for l2, same in groupby(settings, key=lambda each: each[0]):
            inverse = inverse_gram(gram, l2)
            directed = None if crossed is None else DirectedWeights(inverse, crossed)
            for _, alpha in same:
                if directed is None:
                    weights = weights_of(add_texts(inverse, vectors, alpha), items)
                else:
                    weights = directed.with_texts(vectors, alpha, items)
                yield Fitted.of_rows(weights, constant)


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
        self, settings: Sequence[tuple[float, float]], rows: Rows = PLAIN_ROWS
    ) -> Iterator[Fitted]:
        """Sparse weights; as many settings are solved together as `MAX_WEIGHTS` allows."""
        together = max(1, MAX_WEIGHTS // max(1, self.nearest.size))
        inputs, targets = rows.of(self.train)
        for start in range(0, len(settings), together):
            some = settings[start : start + together]
            yield from sparse_fits(
                inputs, self.nearest, self.text_vectors, some, targets, constant=rows.constant
            )

    def fit(self, matrix: csr_matrix, l2: float, alpha: float, constant: float = 0.0) -> Fitted:
        """Sparse weights."""
        one = [(l2, alpha)]
        return sparse_fits(matrix, self.nearest, self.text_vectors, one, constant=constant)[0]


def solver(
    train: Interactions, text_vectors: NDArray[np.float32], neighbours: int | None
) -> Solver:
    """The solver for that many neighbours; None for all items."""
    if neighbours is None:
        return Exact(train, text_vectors)
    return ByNeighbours(train, text_vectors, neighbours)
