"""Adam with one learning rate for the token tables and smaller ones for heads and backbone."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cllm4rec.training.lazy import LazyTable, as_whole


def adam(
    parameters: Mapping[str, nn.Parameter],
    *,
    learning_rate: float,
    head_scale: float,
    backbone_scale: float | None = None,
) -> torch.optim.Optimizer:
    """An optimiser over named parameters.

    Args:
        parameters: by name; those that begin with ``embedding.`` are token vectors.
        learning_rate: peak rate of the token tables.
        head_scale: peak rate of the head relative to ``learning_rate``. It should be smaller: a
            step on a square matrix changes every score, a step on one token only its own.
        backbone_scale: peak rate of a trained backbone (``backbone.…``) relative to
            ``learning_rate``; None for ``head_scale``.
    """
    tables = [p for name, p in parameters.items() if name.startswith("embedding.")]
    backbone = [p for name, p in parameters.items() if name.startswith("backbone.")]
    others = {id(p) for p in [*tables, *backbone]}
    dense = [p for p in parameters.values() if id(p) not in others]
    backbone_scale = head_scale if backbone_scale is None else backbone_scale
    groups = [
        {"params": tables, "peak": learning_rate},
        {"params": dense, "peak": learning_rate * head_scale},
        {"params": backbone, "peak": learning_rate * backbone_scale},
    ]
    # fused: one pass over each table and its moments instead of ten, without temporary copies.
    optimizer = torch.optim.Adam([g for g in groups if g["params"]], lr=learning_rate, fused=True)
    optimizer.register_step_post_hook(_update_lazy)
    optimizer.register_step_post_hook(_count_as_changed)
    _take_states(optimizer)
    return optimizer


def _update_lazy(optimizer: torch.optim.Optimizer, *_: object) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if isinstance(parameter, LazyTable):
                parameter.update()


def _count_as_changed(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Increment the parameters' version counters, which `PackedLayers` uses as cache keys.

    The fused step does not do so itself; scoring would use the weights of an earlier epoch.
    """
    for group in optimizer.param_groups:
        torch.autograd.graph.increment_version(group["params"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's own moments and step counts as a flat dict of tensors, for safetensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
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
    _take_states(optimizer)


def _take_states(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if isinstance(parameter, LazyTable):
                parameter.take_state(optimizer, group)
            elif "touched" in optimizer.state.get(parameter, ()):  # was lazy where it was saved
                as_whole(optimizer.state[parameter], group["betas"])


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters with gradients, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
