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


ROWS = 64
"""Packed tokens are filled up to a multiple: the library prepares a product for each new shape."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """The real tokens of padded documents, one document after the other.

    Half of a batch can be padding; only attention has to know which token is whose.
    """

    rows: Tensor
    """``[tokens, size]``, filled up with zeros."""
    count: int
    """Real tokens."""
    is_real: Tensor
    """``bool [batch, length]``."""
    lengths: list[int]
    ends: Tensor
    """Row of each document's last token."""

    @classmethod
    def of(cls, embedded: Tensor, lengths: Tensor) -> "_Packed":
        """Pack ``embedded [batch, length, size]``."""
        is_real = torch.arange(embedded.shape[1]) < lengths.unsqueeze(1)
        rows = embedded[is_real]
        count = rows.shape[0]
        rows = F.pad(rows, (0, 0, 0, -count % ROWS))
        return cls(rows, count, is_real, lengths.tolist(), lengths.cumsum(0) - 1)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, half: int) -> Tensor:
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


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
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch length size"]:
        """Hidden states after the final norm, float32, at every position; zero in the padding."""
        packed = _Packed.of(embedded, lengths)
        cos, sin = self._angles(embedded)
        x = packed.rows.to(self.dtype)
        for layer in self._layers():
            x = self._layer(x, layer, packed, cos, sin)
        hidden = self._final_norm(x)[: packed.count]
        return embedded.new_zeros(embedded.shape).index_put((packed.is_real,), hidden)

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """The same at each document's last position, ``lengths - 1``, alone."""
        packed = _Packed.of(embedded, lengths)
        cos, sin = self._angles(embedded)
        x = packed.rows.to(self.dtype)
        *layers, top = self._layers()
        for layer in layers:
            x = self._layer(x, layer, packed, cos, sin)
        mixed = self._attend_from_last(rms_norm(x, self.eps), packed, top, cos, sin)
        asked = x[packed.ends] + F.linear(mixed, top.output)
        return self._final_norm(self._feed_forward(asked, top))

    def _layer(
        self, x: Tensor, layer: _Layer, packed: "_Packed", cos: Tensor, sin: Tensor
    ) -> Tensor:
        qkv = F.linear(rms_norm(x, self.eps), layer.qkv)
        mixed = causal_attention(qkv, packed.lengths, cos, sin, self.heads, self.groups)
        return self._feed_forward(x + F.linear(mixed, layer.output), layer)

    def _feed_forward(self, x: Tensor, layer: _Layer) -> Tensor:
        normed = rms_norm(x, self.eps)
        inner = swiglu(F.linear(normed, layer.gate), F.linear(normed, layer.up))
        return x + F.linear(inner, layer.down)

    def _attend_from_last(
        self, normed: Tensor, packed: "_Packed", layer: _Layer, cos: Tensor, sin: Tensor
    ) -> Tensor:
        """Attention of each document's last position: keys and values of all, one query."""
        batch, length = packed.is_real.shape
        heads, groups, size, half = self.heads, self.groups, self.size, self.size // 2
        of_queries = heads * groups * size
        query = F.linear(normed[packed.ends], layer.qkv[:of_queries]).view(batch, -1, size)
        last = torch.tensor(packed.lengths) - 1
        query = _rotated(query, cos[last].unsqueeze(1), sin[last].unsqueeze(1), half)
        both = F.linear(normed, layer.qkv[of_queries:])[: packed.count]
        both = both.new_zeros(batch, length, both.shape[1]).index_put((packed.is_real,), both)
        keys, values = both.view(batch, length, 2 * heads, size).transpose(1, 2).chunk(2, dim=1)
        keys = _rotated(keys, cos, sin, half)
        scores = (query * size**-0.5).view(batch, heads, groups, size) @ keys.transpose(2, 3)
        scores = scores.masked_fill(~packed.is_real[:, None, None], -torch.inf)
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
