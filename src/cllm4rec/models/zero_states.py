"""States that are zero get no gradient.

A document may begin with nobody (`cllm4rec.tokens.space.NOBODY`), which is embedded as zeros. Where
nothing is added to it, its state stays zero through all layers, and so does its part in every
parameter's gradient. But each RMS norm multiplies the gradient of a zero row by ``1 / √eps``, some
300: with 12 layers of SmolLM2 it is finite, with 30 no float32 holds it, and infinity times zero is
no number.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def without_gradient(states: Tensor) -> Tensor:
    """The same states; where a row's first is zero, its gradient stops here.

    Args:
        states: ``[batch, length, size]``.
    """
    first_is_zero = (states[:, :1] == 0).all(dim=-1, keepdim=True)
    return states.masked_fill(functional.pad(first_is_zero, (0, 0, 0, states.shape[1] - 1)), 0.0)


def stop_their_gradient(model: nn.Module, depth: int) -> None:
    """After each of the library's ``depth`` layers."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            for layer in module:
                layer.register_forward_hook(_after)


def _after(layer: nn.Module, inputs: Any, output: Any) -> Any:
    """Torch's forward hook; a layer returns its states, or they come first among others."""
    states = output[0] if isinstance(output, tuple) else output
    if not states.requires_grad:
        return output
    stopped = without_gradient(states)
    return (stopped, *output[1:]) if isinstance(output, tuple) else stopped
