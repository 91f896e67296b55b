"""Adam on a whole table, one pass over it in every step."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def dense_adam(
    table: Tensor, steps: Sequence[tuple[Tensor, Tensor]], rates: Sequence[float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The table and its moments after some steps.

    Args:
        table: at the start.
        steps: rows with a gradient, and their gradients; all others are zero.
        rates: of the steps.
    """
    weight = nn.Parameter(table.clone())
    optimizer = torch.optim.Adam([weight], fused=True)
    for (rows, gradient), rate in zip(steps, rates, strict=True):
        weight.grad = torch.zeros_like(weight)
        weight.grad[rows] = gradient
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return weight.detach(), optimizer.state[weight]
