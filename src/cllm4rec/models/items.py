"""Where item vectors come from: the seam between the catalogue and the language model."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class ItemEncoder(nn.Module, ABC):
    """Item number → vector: read as the item's token and, tied, scored against by the head.

    Another encoder (of texts, say) is a subclass; nothing else in the program knows how a vector
    is made.
    """

    @property
    @abstractmethod
    def num_items(self) -> int:
        """Items of the catalogue."""

    @abstractmethod
    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Vectors of some items, float32; gradients add up in a fixed order."""

    @abstractmethod
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Let some items begin elsewhere; before training."""

    @abstractmethod
    def all(self) -> Float[Tensor, "items size"]:
        """Vectors of the whole catalogue, float32, by item number."""


class FreeItems(ItemEncoder):
    """One free vector per item (paper section 3.1).

    Args:
        weight: initial vectors; copied.
    """

    def __init__(self, weight: Float[Tensor, "items size"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    @property
    def num_items(self) -> int:
        """Rows of the table."""
        return self.weight.shape[0]

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Rows of the table."""
        # Not `weight[numbers]`: its gradient adds up by atomics, in the order threads arrive.
        return functional.embedding(numbers, self.weight)

    @torch.no_grad()
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Overwrite rows of the table."""
        self.weight[numbers] = vectors

    def all(self) -> Float[Tensor, "items size"]:
        """The table itself."""
        return self.weight
