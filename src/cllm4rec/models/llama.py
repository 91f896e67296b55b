"""The Llama family's layers on a processor: the library's weights, our forward pass.

The same function as the library's (tests compare them), from its own parameters: norm weights are
folded into the products that follow them, queries, keys and values are one product, and where only
each document's last position is asked for, the last layer computes keys and values of all
positions and everything else of one.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.models.fused import causal_attention, rms_norm, swiglu

LONGEST = 1024
"""Documents longer than this go through the library: attention scores are materialised here."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights in the arithmetic's type, norm weights folded in."""

    qkv: Tensor
    output: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


def is_llama(model: nn.Module) -> bool:
    """Whether `LlamaLayers` computes what this model does."""
    config: Any = getattr(model, "config", None)
    return (
        getattr(config, "model_type", None) == "llama"
        and type(model).__name__ == "LlamaModel"
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.rope_parameters["rope_type"] == "default"
    )


class LlamaLayers:
    """A Llama model's forward pass over embeddings.

    Args:
        model: the library's ``LlamaModel``; its parameters are read at every call.
        dtype: of products and activations.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self.model = model
        self.dtype = dtype
        config = model.config
        self.heads = config.num_key_value_heads
        self.groups = config.num_attention_heads // self.heads
        self.size = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        self.eps = config.rms_norm_eps
        self._kept: tuple[tuple[int, ...], list[_Layer]] | None = None

    def forward(
        self, embedded: Float[Tensor, "batch length size"]
    ) -> Float[Tensor, "batch length size"]:
        """Hidden states after the final norm, float32, at every position."""
        layers = self._layers()
        cos, sin = self._angles(embedded)
        x = embedded.to(self.dtype)
        for layer in layers:
            x = self._layer(x, layer, cos, sin)
        return self._final_norm(x)

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """The same at each document's last position, ``lengths - 1``, alone."""
        *layers, top = self._layers()
        cos, sin = self._angles(embedded)
        x = embedded.to(self.dtype)
        for layer in layers:
            x = self._layer(x, layer, cos, sin)
        rows = torch.arange(len(lengths), device=lengths.device)
        normed = rms_norm(x, self.eps)
        mixed = self._attend_from_last(normed, lengths, top, cos, sin)
        asked = x[rows, lengths - 1] + mixed @ top.output.T
        return self._final_norm(self._feed_forward(asked, top))

    def _layer(self, x: Tensor, layer: _Layer, cos: Tensor, sin: Tensor) -> Tensor:
        qkv = F.linear(rms_norm(x, self.eps), layer.qkv)
        x = x + F.linear(causal_attention(qkv, cos, sin, self.heads, self.groups), layer.output)
        return self._feed_forward(x, layer)

    def _feed_forward(self, x: Tensor, layer: _Layer) -> Tensor:
        normed = rms_norm(x, self.eps)
        inner = swiglu(F.linear(normed, layer.gate), F.linear(normed, layer.up))
        return x + F.linear(inner, layer.down)

    def _attend_from_last(
        self, normed: Tensor, lengths: Tensor, layer: _Layer, cos: Tensor, sin: Tensor
    ) -> Tensor:
        batch, length = normed.shape[:2]
        heads, groups, size, half = self.heads, self.groups, self.size, self.size // 2
        rows, last = torch.arange(batch, device=lengths.device), lengths - 1
        of_queries = heads * groups * size
        query = F.linear(normed[rows, last], layer.qkv[:of_queries]).view(batch, -1, size)
        first, second = query[..., :half], query[..., half:]
        c, s = cos[last].unsqueeze(1), sin[last].unsqueeze(1)
        query = torch.cat([first * c - second * s, second * c + first * s], dim=-1)
        keys, values = F.linear(normed, layer.qkv[of_queries:]).chunk(2, dim=-1)
        keys = keys.view(batch, length, heads, size).transpose(1, 2)
        first, second = keys[..., :half], keys[..., half:]
        keys = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
        values = values.view(batch, length, heads, size).transpose(1, 2)
        scores = (query * size**-0.5).view(batch, heads, groups, size) @ keys.transpose(2, 3)
        padding = torch.arange(length, device=lengths.device) >= lengths.unsqueeze(1)
        scores = scores.masked_fill(padding[:, None, None], -torch.inf)
        mixed = torch.softmax(scores, dim=-1) @ values
        return mixed.reshape(batch, of_queries)

    def _final_norm(self, x: Tensor) -> Tensor:
        weight: Tensor = self.model.norm.weight
        return F.rms_norm(x.float(), (x.shape[-1],), weight.float(), self.eps)

    def _angles(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of each position's rotation, ``[length, head size / 2]``."""
        positions = torch.arange(embedded.shape[1], device=embedded.device).unsqueeze(0)
        with torch.no_grad():
            cos, sin = self.model.rotary_emb(embedded[:1, :1].to(self.dtype), positions)
        return cos[0, :, : self.size // 2], sin[0, :, : self.size // 2]

    def _layers(self) -> list[_Layer]:
        """The weights; kept between calls until a parameter changes, unless gradients need them."""
        parameters = list(self.model.parameters())
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            return [self._folded(layer) for layer in self.model.layers]
        versions = tuple(p._version for p in parameters)
        if self._kept is None or self._kept[0] != versions:
            with torch.no_grad():
                self._kept = versions, [self._folded(layer) for layer in self.model.layers]
        return self._kept[1]

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
