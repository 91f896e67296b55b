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


class ReadItems(FreeItems):
    """z_j = M t_j + δ_j: what a trained linear map makes of an item's text, and a free rest.

    ``t_j`` is a fixed vector of the text, so that a step on one item also moves those with texts
    like its own. The map begins at zero, and so the vectors at those given.

    Args:
        weight: initial vectors; copied.
        texts: vectors of the items' texts; rows of zeros where there is none.
    """

    texts: Tensor

    def __init__(
        self, weight: Float[Tensor, "items size"], texts: Float[Tensor, "items d"]
    ) -> None:
        super().__init__(weight)
        self.register_buffer("texts", texts.to(weight), persistent=False)
        self.map = nn.Parameter(weight.new_zeros(texts.shape[1], weight.shape[1]))

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Rows of the table, each with its text's part."""
        free: Tensor = super().vectors(numbers)
        return free + functional.embedding(numbers, self.texts) @ self.map

    @torch.no_grad()
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Set δ so that the vectors are those given."""
        super().replace_(numbers, vectors - self.texts[numbers] @ self.map)

    def all(self) -> Float[Tensor, "items size"]:
        """The table with the texts' part."""
        return self.weight + self.texts @ self.map

    def as_table(self) -> FreeItems:
        """The same vectors, free of the texts: what is saved and answers."""
        return FreeItems(self.all().detach())
