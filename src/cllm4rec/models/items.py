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
    like its own. Vectors begin at those given: the map at zero, or at what it can make of them, so
    that M t_j is a content token z^c_j from the start and δ_j is z^l_j − z^c_j.

    Args:
        weight: initial vectors; copied.
        texts: vectors of the items' texts; rows of zeros where there is none.
        fitted: begin with the map's ridge regression (penalty `RIDGE`), not at zero.
    """

    RIDGE = 1.0
    """Penalty of the regression, beside text vectors of length one."""

    texts: Tensor

    def __init__(
        self,
        weight: Float[Tensor, "items size"],
        texts: Float[Tensor, "items d"],
        *,
        fitted: bool = False,
    ) -> None:
        super().__init__(weight)
        self.register_buffer("texts", texts.to(weight), persistent=False)
        self.map = nn.Parameter(weight.new_zeros(texts.shape[1], weight.shape[1]))
        if fitted:
            with torch.no_grad():
                self.map.copy_(_ridge(self.texts, weight, self.RIDGE))
                self.weight.sub_(self.texts @ self.map)

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Rows of the table, each with its text's part."""
        free: Tensor = super().vectors(numbers)
        return free + functional.embedding(numbers, self.texts) @ self.map

    def rest(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """δ of some items."""
        return super().vectors(numbers)

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


def _ridge(
    texts: Float[Tensor, "items d"], vectors: Float[Tensor, "items size"], penalty: float
) -> Float[Tensor, "d size"]:
    """The map M of least ‖texts M − vectors‖² + penalty · ‖M‖²."""
    given, wanted = texts.cpu().double(), vectors.cpu().double()  # not every device has float64
    products = given.T @ given + penalty * torch.eye(given.shape[1]).to(given)
    solution: Tensor = torch.linalg.solve(products, given.T @ wanted)
    return solution.to(vectors)
