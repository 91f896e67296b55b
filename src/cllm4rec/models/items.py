"""Item encoders: item number to vector."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class ItemEncoder(nn.Module, ABC):
    """Item number → vector; used as the item's input embedding and, tied, by the item head.

    To add an encoder (of texts, say), write a subclass: nothing that trains or scores depends on
    how the vectors are made.
    """

    @property
    @abstractmethod
    def num_items(self) -> int:
        """Items of the catalogue."""

    @abstractmethod
    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Vectors of some items, float32; gradients must be summed in a fixed order."""

    @abstractmethod
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Replace the initial vectors of some items, before training."""

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
        # Not `weight[numbers]`: its gradient uses atomic adds, whose order varies between runs.
        return functional.embedding(numbers, self.weight)

    @torch.no_grad()
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Overwrite rows of the table."""
        self.weight[numbers] = vectors

    def all(self) -> Float[Tensor, "items size"]:
        """The table itself."""
        return self.weight
