"""Adam with one rate for the token tables and a smaller one for the dense maps and the backbone."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def adam(
    parameters: Mapping[str, nn.Parameter],
    *,
    learning_rate: float,
    head_scale: float,
    weight_decay: float,
    backbone_scale: float | None = None,
) -> torch.optim.Optimizer:
    """An optimiser over named parameters.

    Args:
        parameters: by name; names that begin with ``embedding.`` are token vectors.
        learning_rate: peak rate of the token tables.
        head_scale: peak rate of everything else as a share of ``learning_rate``: a step on a
            square map moves every score by the sum over its whole width, a step on a row only
            that row's.
        weight_decay: decoupled decay of everything but the token tables.
        backbone_scale: the same share for a trained backbone, whose names begin with ``backbone.``;
            None for that of the maps.
    """
    tables = [p for name, p in parameters.items() if name.startswith("embedding.")]
    backbone = [p for name, p in parameters.items() if name.startswith("backbone.")]
    others = {id(p) for p in [*tables, *backbone]}
    dense = [p for p in parameters.values() if id(p) not in others]
    backbone_scale = head_scale if backbone_scale is None else backbone_scale
    groups = [
        {"params": tables, "peak": learning_rate, "weight_decay": 0.0},
        {"params": dense, "peak": learning_rate * head_scale, "weight_decay": weight_decay},
        {"params": backbone, "peak": learning_rate * backbone_scale, "weight_decay": weight_decay},
    ]
    # One pass over each table and its moments instead of ten, and no temporary copies of it.
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate, fused=True)
    optimizer.register_step_post_hook(_count_as_changed)
    return optimizer


def _count_as_changed(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Raise the parameters' version counters, which tell `PackedLayers` to look again.

    The fused step writes past autograd and leaves them where they were; layers prepared for
    scoring would then be those of an earlier epoch.
    """
    for group in optimizer.param_groups:
        torch.autograd.graph.increment_version(group["params"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments and step counts as a flat dict of tensors, for safetensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value).clone()
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo :func:`optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters with gradients, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
