"""CPU layers of the Llama family: the library's weights, our forward pass.

Tests compare it with the library's. Norm weights are folded into the products that follow them;
queries, keys and values are one product.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cllm4rec.models.cpu_layers.fused import rms_norm, swiglu
from cllm4rec.models.cpu_layers.packed import Packed, PackedLayers

STATIC_ROPE = {"default", "linear", "llama3"}
"""Rope types whose angles do not depend on the document's length."""


def is_llama(model: nn.Module) -> bool:
    """Whether `LlamaLayers` can replace this model's forward pass."""
    config: Any = getattr(model, "config", None)
    return (
        getattr(config, "model_type", None) == "llama"
        and type(model).__name__ == "LlamaModel"
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.rope_parameters["rope_type"] in STATIC_ROPE
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, norm weights folded in."""

    qkv: Tensor
    output: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


class LlamaLayers(PackedLayers[_Layer]):
    """A ``LlamaModel``'s forward pass.

    Args:
        model: the library's; its parameters are read at every call.
        dtype: compute dtype, of products and activations.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        config = model.config
        heads, queries = config.num_key_value_heads, config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // queries
        super().__init__(
            model,
            dtype,
            heads=heads,
            groups=queries // heads,
            size=size,
            dropout=config.attention_dropout,
        )
        self.eps = config.rms_norm_eps

    def blocks(self) -> list[nn.Module]:
        """The library's layers in order, then its final norm."""
        return [*self.model.layers, self.model.norm]

    def _weights(self, part: slice = slice(None)) -> list[_Layer]:
        return [self._folded(layer) for layer in self.model.layers[part]]

    def _folded(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        before, after = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        qkv = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        return _Layer(
            qkv=(torch.cat(qkv) * before).to(self.dtype),
            output=attention.o_proj.weight.to(self.dtype),
            gate=(mlp.gate_proj.weight * after).to(self.dtype),
            up=(mlp.up_proj.weight * after).to(self.dtype),
            down=mlp.down_proj.weight.to(self.dtype),
        )

    def _entered(self, packed: Packed) -> Tensor:
        return packed.rows.to(self.dtype)

    def _angles(self, length: int) -> tuple[Tensor, Tensor]:
        positions = torch.arange(length).unsqueeze(0)
        with torch.no_grad():
            cos, sin = self.model.rotary_emb(torch.empty(1, 1, dtype=self.dtype), positions)
        return cos[0, :, : self.size // 2], sin[0, :, : self.size // 2]

    def _normed(self, x: Tensor, weights: _Layer) -> Tensor:
        return rms_norm(x, self.eps)

    def _projected(self, normed: Tensor, weights: _Layer, part: slice) -> Tensor:
        return F.linear(normed, weights.qkv[part])

    def _output(self, mixed: Tensor, weights: _Layer) -> Tensor:
        return F.linear(mixed, weights.output)

    def _fed_forward(self, x: Tensor, weights: _Layer) -> Tensor:
        normed = rms_norm(x, self.eps)
        inner = swiglu(F.linear(normed, weights.gate), F.linear(normed, weights.up))
        return x + F.linear(inner, weights.down)

    def _final_norm(self, x: Tensor) -> Tensor:
        weight: Tensor = self.model.norm.weight
        return F.rms_norm(x.float(), (x.shape[-1],), weight.float(), self.eps)
