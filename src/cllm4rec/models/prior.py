"""The closed-form score beside the language model's: what the history's factors say alone."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class FactorPrior(nn.Module):
    """``sharpness · (mean of the history's vectors · v_j + bias_j)``; nothing in it is trained.

    Args:
        vectors: item vectors, ``[items, d]``.
        bias: of the items, ``[items]``.
        sharpness: inverse temperature under which these are logits.
    """

    vectors: Tensor
    bias: Tensor
    sharpness: Tensor

    def __init__(
        self, vectors: Float[Tensor, "items d"], bias: Float[Tensor, " items"], sharpness: float
    ) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)
        self.register_buffer("bias", bias)
        self.register_buffer("sharpness", torch.tensor(sharpness))

    def forward(
        self, rows: Int[Tensor, " known"], items: Int[Tensor, " known"], num_rows: int
    ) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue.

        Args:
            rows: row of the batch that each known item belongs to.
            items: the known items' numbers.
            num_rows: rows of the batch, those without any item included.
        """
        total = torch.zeros(num_rows, self.vectors.shape[1])
        total = total.index_add(0, rows, self.vectors[items])
        count = torch.bincount(rows, minlength=num_rows).clamp_min(1)
        means = total / count.unsqueeze(1)
        logits: Tensor = self.sharpness * (means @ self.vectors.T + self.bias)
        return logits


def prior_from(tensors: Mapping[str, Tensor]) -> FactorPrior:
    """The prior whose ``state_dict`` these tensors are."""
    return FactorPrior(tensors["vectors"], tensors["bias"], float(tensors["sharpness"]))
