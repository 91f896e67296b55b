"""CPU layers of GPT-2, the paper's backbone: the library's weights, our forward pass.

Tests compare it with the library's. It runs over packed tokens; attention's backward pass is plain
matrix products.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cllm4rec.models.cpu_layers.packed import Packed, PackedLayers


def is_gpt2(model: nn.Module) -> bool:
    """Whether `Gpt2Layers` can replace this model's forward pass."""
    config: Any = getattr(model, "config", None)
    return (
        getattr(config, "model_type", None) == "gpt2"
        and type(model).__name__ == "GPT2Model"
        and config.activation_function in {"gelu_new", "gelu_pytorch_tanh"}
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


@dataclass(frozen=True, slots=True)
class _Affine:
    """``x @ weight + bias`` with ``weight [in, out]``, as the library's ``Conv1D`` holds it."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor, part: slice = slice(None)) -> Tensor:
        return torch.addmm(self.bias[part], x, self.weight[:, part])


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's affine maps and norms."""

    before: tuple[Tensor, Tensor]
    qkv: _Affine
    output: _Affine
    after: tuple[Tensor, Tensor]
    up: _Affine
    down: _Affine


class Gpt2Layers(PackedLayers[_Layer]):
    """A ``GPT2Model``'s forward pass.

    Args:
        model: the library's; its parameters are read at every call.
        dtype: compute dtype, of products and activations.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        config = model.config
        heads = config.num_attention_heads
        super().__init__(
            model,
            dtype,
            heads=heads,
            groups=1,
            size=config.hidden_size // heads,
            dropout=config.attn_pdrop,
        )
        self.of_embeddings, self.of_residuals = config.embd_pdrop, config.resid_pdrop
        self.eps = config.layer_norm_epsilon

    def blocks(self) -> list[nn.Module]:
        """The library's layers in order, then its final norm."""
        return [*self.model.h, self.model.ln_f]

    def _weights(self, part: slice = slice(None)) -> list[_Layer]:
        def norm(module: Any) -> tuple[Tensor, Tensor]:
            return module.weight.to(self.dtype), module.bias.to(self.dtype)

        def affine(module: Any) -> _Affine:
            return _Affine(module.weight.to(self.dtype), module.bias.to(self.dtype))

        return [
            _Layer(
                norm(layer.ln_1),
                affine(layer.attn.c_attn),
                affine(layer.attn.c_proj),
                norm(layer.ln_2),
                affine(layer.mlp.c_fc),
                affine(layer.mlp.c_proj),
            )
            for layer in self.model.h[part]
        ]

    def _entered(self, packed: Packed) -> Tensor:
        positions: Tensor = self.model.wpe(packed.positions())
        entered = packed.rows.to(self.dtype) + positions.to(self.dtype)
        return F.dropout(entered, self.of_embeddings, self.model.training)

    def _angles(self, length: int) -> tuple[Tensor, Tensor]:
        """The identity rotation: GPT-2's positions are embeddings."""
        still = torch.ones(length, self.size // 2, dtype=self.dtype)
        return still, torch.zeros_like(still)

    def _normed(self, x: Tensor, weights: _Layer) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), *weights.before, eps=self.eps)

    def _projected(self, normed: Tensor, weights: _Layer, part: slice) -> Tensor:
        return weights.qkv(normed, part)

    def _output(self, mixed: Tensor, weights: _Layer) -> Tensor:
        return F.dropout(weights.output(mixed), self.of_residuals, self.model.training)

    def _fed_forward(self, x: Tensor, weights: _Layer) -> Tensor:
        normed = F.layer_norm(x, (x.shape[-1],), *weights.after, eps=self.eps)
        fed = weights.down(F.gelu(weights.up(normed), approximate="tanh"))
        return x + F.dropout(fed, self.of_residuals, self.model.training)

    def _final_norm(self, x: Tensor) -> Tensor:
        last: Any = self.model.ln_f
        weight, bias = last.weight.float(), last.bias.float()
        return F.layer_norm(x.float(), (x.shape[-1],), weight, bias, eps=self.eps)
