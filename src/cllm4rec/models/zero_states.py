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

from cllm4rec.models.recomputing import layers_of


def without_gradient(states: Tensor, positions: Tensor | None = None) -> Tensor:
    """The same states; where a document's first is zero, its gradient stops here.

    Args:
        states: ``[batch, length, size]``.
        positions: in their documents, ``[batch, length]``; if not given, rows are documents.
    """
    if positions is None:
        is_zero = (states[:, :1] == 0).all(dim=-1, keepdim=True)
        is_zero = functional.pad(is_zero, (0, 0, 0, states.shape[1] - 1))
    else:
        is_zero = (positions == 0).unsqueeze(-1) & (states == 0).all(dim=-1, keepdim=True)
    return states.masked_fill(is_zero, 0.0)


def stop_their_gradient(model: nn.Module, depth: int) -> None:
    """After each of the library's ``depth`` layers."""
    for layer in layers_of(model, depth):
        layer.register_forward_hook(_after, with_kwargs=True)


def _after(layer: nn.Module, inputs: Any, named: dict[str, Any], output: Any) -> Any:
    """Torch's forward hook; a layer returns its states, or they come first among others.

    The library tells every layer the positions: one row of them where rows are documents.
    """
    states = output[0] if isinstance(output, tuple) else output
    if not states.requires_grad:
        return output
    positions = named.get("position_ids")
    is_packed = positions is not None and len(positions) == len(states) > 1
    stopped = without_gradient(states, positions if is_packed else None)
    return (stopped, *output[1:]) if isinstance(output, tuple) else stopped
