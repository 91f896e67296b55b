"""Several documents in one row: the library's layers read no more padding than they must.

The library tells a row's documents apart by their positions, which begin anew with each: none
attends to another, in a sliding window neither. Rows are as long as the longest document, so that a
batch asks for no more memory, and no attention is wider, than if padded.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cllm4rec.tokens.batch import moved

_WORTH = 0.9
"""Of the padded rows; where more are left, moving tokens and a mask cost what they save."""


@dataclass(frozen=True)
class Packing:
    """Where each token of a padded batch stands in rows of several documents; on the processor."""

    positions: Int[Tensor, "rows length"]
    """Of each token in its document; padding counts as one."""
    source: Int[Tensor, " packed"]
    """Of each place in the rows its token in the batch, both flattened."""
    place: Int[Tensor, " padded"]
    """Of each token of the batch its place in the rows; 0 for padding."""

    @classmethod
    def of(cls, lengths: Int[Tensor, " batch"], length: int) -> "Packing | None":
        """Pack the longest first, each into the first row that has room.

        Args:
            lengths: of the documents, in tokens.
            length: of the padded batch.

        Returns:
            None where padding costs less.
        """
        sizes = lengths.cpu().numpy()
        batch, total = len(sizes), int(sizes.sum())
        if not 0 < total <= _WORTH * batch * length:
            return None
        rows, starts, used = _places(sizes, length)
        if len(used) > _WORTH * batch:
            return None
        document = np.repeat(np.arange(batch), sizes)
        offset = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        taken, put = document * length + offset, (rows * length + starts)[document] + offset
        positions = np.arange(length) - used[:, None]  # of padding, behind the documents
        positions.flat[put] = offset
        padding = int(sizes.argmin()) * length + length - 1
        source = np.full(positions.size, padding)
        source[put] = taken
        place = np.zeros(batch * length, np.int64)
        place[taken] = put
        return cls(*map(torch.from_numpy, (positions, source, place)))

    def packed(self, embedded: Float[Tensor, "batch length size"]) -> Float[Tensor, "r l s"]:
        """The documents' vectors, in rows."""
        source = moved(self.source, embedded.device)
        return embedded.flatten(0, 1).index_select(0, source).view(*self.positions.shape, -1)

    def unpacked(
        self, hidden: Float[Tensor, "r l s"], tokens: Int[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "tokens s"]:
        """Rows' states of tokens of the flattened batch; of all, if not given."""
        place = self.place if tokens is None else self.place[tokens]
        return hidden.flatten(0, 1).index_select(0, moved(place, hidden.device))


def _places(sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and start of each document, and how much of each row is used."""
    rows, starts = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), np.int64)
    used = np.zeros(len(sizes), np.int64)
    for document in np.argsort(-sizes, kind="stable"):
        row = int(np.argmax(used + sizes[document] <= length))
        rows[document], starts[document] = row, used[row]
        used[row] += sizes[document]
    return rows, starts, used[used > 0]
