"""Item vectors from words: TF-IDF, then a truncated singular value decomposition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.linear.text_space import TextSpace, length_one


def item_text_vectors(
    words: Sequence[str], dimensions: int = 400, seed: int = 0
) -> NDArray[np.float32]:
    """Vectors of texts in their own `TextSpace`, rows of length one.

    Args:
        words: one text per item, by item number; may be empty.
        dimensions: number of vectors; fewer if there are fewer items or words.
        seed: of the randomised decomposition, used for large catalogues.

    Returns:
        ``float32 [items, d]``, ``d <= dimensions``; an item without usable words is a row of
        zeros, and ``d`` is 0 where no word is shared by two items.
    """
    return TextSpace.fit(words, dimensions, seed).items


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Principal components whose std ``S`` becomes ``S^(1 - power)``.

    Hidden states lie in a narrow cone, so that any two are alike until the mean is taken off and
    the first components are reduced. Power 0.5 to 0.75 gives the best nearest neighbours.

    Attributes:
        mean: of the vectors, ``float32 [d]``.
        axes: directions by columns, scaled, ``float64 [d, components]``.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float64]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], power: float, dimensions: int = 400) -> "Whitening":
        """The components of some vectors.

        Args:
            vectors: ``[items, d]``; rows of zeros take no part.
            power: 0 keeps the components' std, 1 makes all of them equal (whitening).
            dimensions: number of components, the largest; fewer if there are fewer.
        """
        given = vectors[np.any(vectors != 0, axis=1)]
        size = vectors.shape[1]
        if not len(given):
            return cls(np.zeros(size, np.float32), np.zeros((size, 0)))
        mean = given.mean(axis=0)
        centred = (given - mean).astype(np.float64)
        variances, axes = np.linalg.eigh(centred.T @ centred / len(given))
        std = np.sqrt(np.maximum(variances[::-1], 0))[:dimensions]
        kept = std > std[0] * 1e-4
        return cls(mean, axes[:, ::-1][:, : len(std)][:, kept] * std[kept] ** -power)

    def applied(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Components ``float32 [items, components]``, rows of length one; zeros stay zeros."""
        given = np.any(vectors != 0, axis=1)
        centred = np.where(given[:, None], vectors - self.mean, 0).astype(np.float64)
        return length_one((centred @ self.axes).astype(np.float32))


def whitened(
    vectors: NDArray[np.float32], power: float, dimensions: int = 400
) -> NDArray[np.float32]:
    """Vectors by their own `Whitening`, ``float32 [items, min(d, dimensions)]``."""
    return Whitening.fit(vectors, power, dimensions).applied(vectors)


READ_POWER = 0.5
"""Whitening of what a language model reads; 0.25 and 0.75 differ by about 1 % or less on
validation."""


def with_reading(words: NDArray[np.float32], read: NDArray[np.float32]) -> NDArray[np.float32]:
    """TF-IDF vectors, and what a language model reads in the same texts, side by side.

    Args:
        words: ``[items, a]``, rows of length one or zero.
        read: ``[items, b]``, as it was read.
    """
    return beside(words, whitened(read, READ_POWER), 1.0)


def beside(
    first: NDArray[np.float32], second: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Two kinds of vectors of the same items concatenated, rows of length one.

    Args:
        first: ``[items, a]``, rows of length one or zero.
        second: ``[items, b]``, likewise.
        weight: of the second's products, relative to the first's.
    """
    return length_one(np.concatenate([first, np.float32(np.sqrt(weight)) * second], axis=1))
