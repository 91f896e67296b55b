"""EASE that also learns what comes next: rows of the past predict rows of the future.

Minimises ``‖X − XB‖² + w·‖F − QB‖² + α·‖Aᵀ − AᵀB‖² + λ·‖B‖²`` over ``B`` with a zero diagonal.
``X`` are whole histories; each place between two items of a history is a row of ``Q``, the items
before it, and of ``F``, the items after it, which weigh less with distance; ``A`` are the texts.

Source: Choi, Kim, Lee, Shim & Lee, *Session-aware Linear Item-Item Models for Session-based
Recommendation*, WWW 2021 (SLIST); here with texts and with the diagonal at zero.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import Matrix, text_update
from cllm4rec.linear.ordered import ages

PAST_DECAY = 0.5
"""Weight of an item of the past relative to the item after it."""
FUTURE_DECAY = 0.5
"""Weight of an item of the future relative to the item before it."""
SMALLEST = 0.01
"""Smaller weights are left out."""

_BLOCK = 512
"""Rows processed at once."""


def past_and_future(train: Interactions) -> tuple[csr_matrix, csr_matrix]:
    """``Q`` and ``F``, a row for each item but the last of a history, ``float32 [rows, items]``.

    Args:
        train: histories, oldest item first.
    """
    counts = train.counts()
    later = ages(train)  # items after each
    earlier = np.repeat(counts, counts) - 1 - later
    cuts = np.flatnonzero(later > 0)
    past = _weighted(train, cuts, earlier[cuts], PAST_DECAY, first=0, step=-1)
    future = _weighted(train, cuts, later[cuts] - 1, FUTURE_DECAY, first=1, step=1)
    return past, future


@dataclass(frozen=True, eq=False)
class DirectedWeights:
    """The closed form, exactly: ``B = PC − P·diag(PC)/diag(P)``, where ``P`` is the inverse.

    Attributes:
        inverse: ``P = (inputsᵀ inputs + λI)⁻¹``, ``[items, items]``, before texts are added.
        crossed: ``C = inputsᵀ targets``, sparse, before texts are added.
    """

    inverse: Matrix
    crossed: csr_matrix

    @cached_property
    def product(self) -> Matrix:
        """``PC``, ``[items, items]``, column-major."""
        product: Matrix = (self.crossed.T.tocsr().astype(self.inverse.dtype) @ self.inverse).T
        return product

    def with_texts(
        self, text_vectors: NDArray[np.float32], alpha: float, items: int | None = None
    ) -> NDArray[np.float32]:
        """Weights ``float32 [inputs, items]`` with a zero diagonal; row = item of the history.

        Texts are a low-rank change of both products, so nothing of items × items is made but the
        result.

        Args:
            text_vectors: ``A``, ``[items, d]``; d may be 0.
            alpha: α, at least 0.
            items: the first of the inputs, which are wanted; None: all.
        """
        dtype, items = self.inverse.dtype, items or len(self.inverse)
        update = text_update(self.inverse, text_vectors, alpha)  # P becomes P − UᵀU
        crossed = np.asarray((self.crossed.T.astype(dtype) @ update.T).T)  # UC
        vectors = (text_vectors if len(update) else text_vectors[:, :0]).astype(dtype)
        pulled = self.inverse @ vectors - update.T @ (update @ vectors)
        pulled *= alpha  # αPA
        numerator = self.product.diagonal() - np.einsum("di,di->i", update, crossed)
        numerator += np.einsum("id,id->i", pulled, vectors)
        divisor = self.inverse.diagonal() - np.einsum("di,di->i", update, update)
        scale = numerator / divisor
        weights = np.empty((len(self.inverse), items), np.float32)
        for start in range(0, len(weights), _BLOCK):
            some = slice(start, start + _BLOCK)
            block = self.product[some] - update[:, some].T @ crossed + pulled[some] @ vectors.T
            block -= (self.inverse[some] - update[:, some].T @ update) * scale
            weights[some] = block[:, :items]
        np.fill_diagonal(weights, 0)
        return weights


def _weighted(
    train: Interactions,
    cuts: NDArray[np.int64],
    reach: NDArray[np.int64],
    decay: float,
    *,
    first: int,
    step: int,
) -> csr_matrix:
    """A row for each cut: the items from ``first`` on, ``decay`` times less with each step.

    Args:
        train: histories.
        cuts: places in ``train.items``.
        reach: of each cut, the largest distance within its history.
        decay: below 1.
        first: distance from the cut to the first item.
        step: 1 or −1.
    """
    rows, columns, values = [], [], []
    distance = 0
    while decay**distance >= SMALLEST:
        inside = np.flatnonzero(reach >= distance)
        rows.append(inside)
        columns.append(train.items[cuts[inside] + first + step * distance])
        values.append(np.full(len(inside), decay**distance, np.float32))
        distance += 1
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix(entries, shape=(len(cuts), train.num_items))
