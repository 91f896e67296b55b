"""Activation checkpointing: a layer keeps its input alone, and is computed again for its gradient.

Chen et al., *Training Deep Nets with Sublinear Memory Cost* (2016), with a checkpoint at every
layer. Done here rather than by the library, whose layers recompute in training mode alone, which a
backbone without dropout never is in.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def layers_of(model: nn.Module, depth: int) -> Iterator[nn.Module]:
    """The library's ``depth`` layers."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            yield from module


def recompute(model: nn.Module, depth: int) -> None:
    """Let each of the library's ``depth`` layers keep its input alone; a copy's do already."""
    for layer in layers_of(model, depth):
        if "forward" not in vars(layer):
            layer.forward = partial(_recomputed, layer.forward)


def _recomputed(forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*given, **named)
    return checkpoint(forward, *given, use_reentrant=False, **named)
