"""Item vectors of a sequence network: free ones, or with a map of the items' texts added."""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn


class FreeItems(nn.Module):
    """An embedding of each item.

    Args:
        num_items: size of the catalogue.
        dim: width.
    """

    def __init__(self, num_items: int, dim: int) -> None:
        super().__init__()
        self.num_items = num_items
        self.weight = nn.Parameter(torch.empty(num_items, dim))

    def vectors(self, items: Int[Tensor, "..."] | None = None) -> Float[Tensor, "... dim"]:
        """Of some items; None for all."""
        return self.weight if items is None else nn.functional.embedding(items, self.weight)


class TextItems(FreeItems):
    """An embedding of each item plus a trained linear map of its text vector.

    As UniSRec's items are where IDs are used (Hou et al., *Towards Universal Sequence
    Representation Learning*, KDD 2022), with one map instead of a mixture of eight.

    Args:
        text_vectors: ``[items, d]``.
        dim: width.
    """

    def __init__(self, text_vectors: NDArray[np.float32], dim: int) -> None:
        super().__init__(len(text_vectors), dim)
        self.register_buffer("texts", torch.from_numpy(text_vectors))
        self.map = nn.Linear(text_vectors.shape[1], dim, bias=False)

    def vectors(self, items: Int[Tensor, "..."] | None = None) -> Float[Tensor, "... dim"]:
        """Of some items, computed for those alone; None for all."""
        texts = self.get_buffer("texts")
        mapped: Tensor = self.map(texts if items is None else texts[items])
        return super().vectors(items) + mapped
