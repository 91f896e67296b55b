"""Base class of the CPU layers: a causal transformer over packed tokens.

Half of a batch can be padding, and only attention needs document boundaries: everything else runs
over the real tokens, concatenated. When only each document's last state is needed, the last layer
computes keys and values for all positions and the rest for one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.models.cpu_layers.fused import FEW, causal_attention, filled_up

LONGEST = 1024
"""Longer documents use the library's layers, since attention scores are materialised here."""
ROWS = 64
"""Packed rows are padded to a multiple of this: oneDNN prepares a kernel for each new shape."""

Weights = TypeVar("Weights")


@dataclass(frozen=True, slots=True)
class Packed:
    """The real tokens of padded documents, concatenated."""

    rows: Tensor
    """``[tokens, size]``, zero-padded to a multiple of ``ROWS``."""
    count: int
    """Real tokens."""
    is_real: Tensor
    """``bool [batch, length]``."""
    lengths: list[int]
    ends: Tensor
    """Row of each document's last token."""
    first: int = 0
    """Position of each document's first token; earlier ones are in the KV cache."""

    @classmethod
    def of_rows(cls, rows: Tensor, lengths: Sequence[int]) -> "Packed":
        """Rows ``[tokens, size]`` of documents that follow one another."""
        own = torch.tensor(list(lengths))
        return cls._of(rows, torch.arange(int(own.max())) < own.unsqueeze(1), own)

    @classmethod
    def _of(cls, rows: Tensor, is_real: Tensor, lengths: Tensor) -> "Packed":
        padded = F.pad(rows, (0, 0, 0, -len(rows) % ROWS))
        return cls(padded, len(rows), is_real, lengths.tolist(), lengths.cumsum(0) - 1)

    @classmethod
    def of(cls, embedded: Tensor, lengths: Tensor) -> "Packed":
        """Pack ``embedded [batch, length, size]``."""
        is_real = torch.arange(embedded.shape[1]) < lengths.unsqueeze(1)
        return cls._of(embedded[is_real], is_real, lengths)

    def positions(self) -> Tensor:
        """Position of each row's token in its document; 0 for padding rows."""
        places = torch.arange(self.is_real.shape[1]).expand(self.is_real.shape)[self.is_real]
        return F.pad(places + self.first, (0, len(self.rows) - self.count))


class KVCache:
    """Rotated keys and values of one document's tokens, per layer."""

    def __init__(self) -> None:
        self.tokens = 0
        self._layers: list[tuple[Tensor, Tensor]] = []

    def extended(
        self, layer: int, new: Float[Tensor, "twice_heads new size"], cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Append to a layer; return all its keys and values, ``[heads, tokens, size]``."""
        keys, values = new.chunk(2)
        keys = _rotated(keys, cos, sin)
        if layer < len(self._layers):
            before = self._layers[layer]
            keys, values = torch.cat([before[0], keys], 1), torch.cat([before[1], values], 1)
            self._layers[layer] = keys, values
        else:
            self._layers.append((keys, values))
        return keys, values


class PackedLayers(ABC, Generic[Weights]):
    """A causal transformer's forward pass over embeddings, with the library's parameters.

    Args:
        model: the library's model; its parameters are read at every call.
        dtype: compute dtype, of products and activations.
        heads: key and value heads.
        groups: query heads per key head.
        size: of a head.
        dropout: of attention weights, while the model is in training mode.
    """

    def __init__(
        self,
        model: Any,
        dtype: torch.dtype,
        *,
        heads: int,
        groups: int,
        size: int,
        dropout: float,
    ) -> None:
        self.model = model
        self.dtype = dtype
        self.heads = heads
        self.groups = groups
        self.size = size
        self.dropout = dropout
        self._cast: tuple[tuple[int, ...], list[Weights]] | None = None

    def forward(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch length size"]:
        """Hidden states after the final norm, float32, at every position; zero in the padding."""
        packed = Packed.of(embedded, lengths)
        cos, sin = self._angles(embedded.shape[1])
        x = self._entered(packed)
        for weights in self._layers():
            x = self._layer(x, weights, packed, cos, sin)
        hidden = self._final_norm(x)[: packed.count]
        return embedded.new_zeros(embedded.shape).index_put((packed.is_real,), hidden)

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """Hidden states at each document's last position, ``lengths - 1``, only."""
        batch, length = embedded.shape[:2]
        if batch <= FEW:
            count, longest = filled_up(batch, length)
            embedded = F.pad(embedded, (0, 0, 0, longest - length, 0, count - batch))
            lengths = F.pad(lengths, (0, count - batch), value=1)
        packed = Packed.of(embedded, lengths)
        cos, sin = self._angles(embedded.shape[1])
        x = self._entered(packed)
        *layers, top = self._layers()
        for weights in layers:
            x = self._layer(x, weights, packed, cos, sin)
        normed = self._normed(x, top)
        of_queries = self.heads * self.groups * self.size
        query = self._projected(normed[packed.ends], top, slice(0, of_queries))
        both = self._projected(normed, top, slice(of_queries, None))
        mixed = self._attend_from_last(query, both, packed, cos, sin)
        top_x = x[packed.ends] + self._output(mixed, top)
        return self._final_norm(self._fed_forward(top_x, top))[:batch]

    def first(
        self, embedded: Float[Tensor, "tokens size"], lengths: Sequence[int], layers: int
    ) -> Float[Tensor, "tokens size"]:
        """What the first ``layers`` layers make of documents that follow one another.

        Args:
            embedded: their tokens, without padding.
            lengths: tokens of each, at least one.
            layers: how many; the rest is for `rest`.

        Returns:
            In the compute dtype.
        """
        packed = Packed.of_rows(embedded, lengths)
        cos, sin = self._angles(max(lengths))
        x = self._entered(packed)
        for weights in self._layers(slice(layers)):
            x = self._layer(x, weights, packed, cos, sin)
        return x[: packed.count]

    def rest(
        self, states: Float[Tensor, "tokens size"], lengths: Sequence[int], layers: int
    ) -> Float[Tensor, "tokens size"]:
        """Hidden states after the final norm, float32, of what `first` gives."""
        packed = Packed.of_rows(states, lengths)
        cos, sin = self._angles(max(lengths))
        x = packed.rows
        for weights in self._layers(slice(layers, None)):
            x = self._layer(x, weights, packed, cos, sin)
        return self._final_norm(x)[: packed.count]

    def new_cache(self) -> KVCache:
        """An empty KV cache."""
        return KVCache()

    def extend(self, embedded: Float[Tensor, "new size"], cache: KVCache) -> Float[Tensor, " size"]:
        """Append tokens to a document; return the hidden state at its new end, float32.

        Args:
            embedded: at least one token, following those in the cache.
            cache: extended in place by their keys and values.
        """
        count = len(embedded)
        lengths = torch.tensor([count])
        real = torch.ones(1, count, dtype=torch.bool)
        packed = Packed(embedded, count, real, [count], lengths - 1, cache.tokens)
        cos, sin = (table[cache.tokens :] for table in self._angles(cache.tokens + count))
        x = self._entered(packed)
        of_queries = self.heads * self.groups * self.size
        for index, weights in enumerate(self._layers()):
            qkv = self._projected(self._normed(x, weights), weights, slice(None))
            keys, values = cache.extended(index, self._by_head(qkv[:, of_queries:]), cos, sin)
            queries = qkv[:, :of_queries].view(count, self.heads, self.groups, self.size)
            queries = _rotated(queries.permute(1, 2, 0, 3) * self.size**-0.5, cos, sin)
            scores = queries @ keys.transpose(1, 2).unsqueeze(1)
            scores = scores + torch.full_like(scores[0, 0], -torch.inf).triu_(cache.tokens + 1)
            mixed = torch.softmax(scores, dim=-1) @ values.unsqueeze(1)
            mixed = mixed.permute(2, 0, 1, 3).reshape(count, of_queries)
            x = self._fed_forward(x + self._output(mixed, weights), weights)
        cache.tokens += count
        last: Tensor = self._final_norm(x[-1:])[0]
        return last

    def _by_head(self, both: Tensor) -> Tensor:
        return both.view(len(both), 2 * self.heads, self.size).transpose(0, 1)

    def _layer(
        self, x: Tensor, weights: Weights, packed: Packed, cos: Tensor, sin: Tensor
    ) -> Tensor:
        qkv = self._projected(self._normed(x, weights), weights, slice(None))
        dropout = self.dropout if self.model.training else 0.0
        mixed = causal_attention(qkv, packed.lengths, cos, sin, self.heads, self.groups, dropout)
        return self._fed_forward(x + self._output(mixed, weights), weights)

    def _attend_from_last(
        self, query: Tensor, both: Tensor, packed: Packed, cos: Tensor, sin: Tensor
    ) -> Tensor:
        """Attention of each document's last position to all its positions."""
        batch, length = packed.is_real.shape
        heads, groups, size = self.heads, self.groups, self.size
        last = torch.tensor(packed.lengths) - 1
        query = query.view(batch, heads * groups, size) * size**-0.5
        query = _rotated(query, cos[last].unsqueeze(1), sin[last].unsqueeze(1))
        padded = both.new_zeros(batch, length, both.shape[1])
        padded = padded.index_put((packed.is_real,), both[: packed.count])
        keys, values = padded.view(batch, length, 2 * heads, size).transpose(1, 2).chunk(2, dim=1)
        scores = query.view(batch, heads, groups, size) @ _rotated(keys, cos, sin).transpose(2, 3)
        scores = scores.masked_fill(~packed.is_real[:, None, None], -torch.inf)
        attention = F.dropout(torch.softmax(scores, dim=-1), self.dropout, self.model.training)
        mixed = attention @ values
        return mixed.reshape(batch, heads * groups * size)

    def _layers(self, part: slice = slice(None)) -> list[Weights]:
        """The cast weights; cached until a parameter changes, unless gradients flow to them."""
        parameters = list(self.model.parameters())
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            return self._weights(part)
        versions = tuple(p._version for p in parameters)
        if self._cast is None or self._cast[0] != versions:
            with torch.no_grad():
                self._cast = versions, self._weights()
        return self._cast[1][part]

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The library's layers in order, then its final norm."""

    @abstractmethod
    def _weights(self, part: slice = slice(None)) -> list[Weights]:
        """The weights of some layers in the compute dtype."""

    @abstractmethod
    def _entered(self, packed: Packed) -> Tensor:
        """Input of the first layer."""

    @abstractmethod
    def _angles(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of each position's rotation, ``[length, size / 2]``."""

    @abstractmethod
    def _normed(self, x: Tensor, weights: Weights) -> Tensor:
        """Input of attention, normalised."""

    @abstractmethod
    def _projected(self, normed: Tensor, weights: Weights, part: slice) -> Tensor:
        """Queries, keys and values concatenated, or a slice of them."""

    @abstractmethod
    def _output(self, mixed: Tensor, weights: Weights) -> Tensor:
        """Attention's output projection."""

    @abstractmethod
    def _fed_forward(self, x: Tensor, weights: Weights) -> Tensor:
        """The feed-forward half of a layer, with its residual."""

    @abstractmethod
    def _final_norm(self, x: Tensor) -> Tensor:
        """Hidden states after the final norm, float32."""


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
