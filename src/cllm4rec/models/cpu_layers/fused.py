"""Fused operations of a transformer layer on CPUs, with hand-written backward passes.

With native bfloat16 products, memory traffic dominates the rest of a truncated backbone: norms,
rotations, masks and softmaxes. The library's general versions take three to eight passes over
memory where one or two suffice. On histories of thirty items its attention kernel's backward pass
is ten times slower than plain batched products (docs/performance.md).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FEW = 32
"""Batches up to this size (a service's passes) are padded; larger ones gain less from it."""
DOCUMENTS = 4
LENGTHS = 16
"""Small batches are padded to multiples of these, in documents and in length."""


def rms_norm(x: Float[Tensor, "*rows size"], eps: float) -> Float[Tensor, "*rows size"]:
    """``x / sqrt(mean(x²) + eps)`` over the last dimension, without a weight."""
    normed: Tensor = _RMSNorm.apply(x, eps)  # type: ignore[no-untyped-call]
    return normed


def swiglu(
    gate: Float[Tensor, "*rows size"], up: Float[Tensor, "*rows size"]
) -> Float[Tensor, "*rows size"]:
    """``silu(gate) · up``; saves neither the sigmoid nor the product for the backward pass."""
    product: Tensor = _SwiGLU.apply(gate, up)  # type: ignore[no-untyped-call]
    return product


def causal_attention(
    qkv: Float[Tensor, "tokens width"],
    lengths: Sequence[int],
    cos: Float[Tensor, "longest half"],
    sin: Float[Tensor, "longest half"],
    heads: int,
    groups: int,
    dropout: float = 0.0,
) -> Float[Tensor, "tokens heads_size"]:
    """Causal attention with rotary positions within each document; materialises the scores.

    Args:
        qkv: the documents' tokens, concatenated; each row holds queries of ``heads · groups``
            heads, then keys and values of ``heads``. Rows beyond the last document are ignored.
        lengths: tokens of each document.
        cos: cosine of the rotation angle, by position.
        sin: sine of the same.
        heads: key and value heads.
        groups: query heads per key head.
        dropout: probability of dropping an attention weight.

    Returns:
        The heads' outputs; rows beyond the last document are zero.
    """
    cos, sin = (F.pad(table, (0, 0, 0, LENGTHS - 1)) for table in (cos, sin))
    attended: Tensor = _CausalAttention.apply(  # type: ignore[no-untyped-call]
        qkv, _runs(lengths), cos, sin, heads, groups, dropout
    )
    return attended


def rotate(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> Tensor:
    """Rotate each pair (i, i + half) of the last dimension by its angle, into ``out``.

    The backward pass is the transposed rotation: pass ``-sin`` for ``sin``.
    """
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
    return out


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        # A row of zeros gets no gradient (`cllm4rec.models.zero_states`); it stays as it is.
        is_zero = scale == 0
        scale = scale.square_().div_(x.shape[-1]).add_(eps).rsqrt_().masked_fill_(is_zero, 0)
        normed = _times(x, scale)
        ctx.save_for_backward(normed, scale)
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        normed, scale = ctx.saved_tensors
        along = (gradient * normed).mean(dim=-1, keepdim=True, dtype=scale.dtype)
        return _times(gradient - _times(normed, along), scale), None


def _times(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply each row by one number, rounding only the products.

    Rounding the factor to bfloat16 first would bias its whole row by up to 0.4 %.
    """
    return (x * factor).to(x.dtype)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        product: Tensor = F.silu(gate).mul_(up)
        return product

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        for_up = F.silu(gate).mul_(gradient)
        return torch.ops.aten.silu_backward(gradient * up, gate), for_up


def filled_up(documents: int, longest: int) -> tuple[int, int]:
    """Padded number of documents and length, so that few distinct shapes occur.

    oneDNN prepares a kernel for each new shape, which takes longer than a small product.
    """
    count = documents if documents <= 2 else documents + -documents % DOCUMENTS
    return count, longest + -longest % LENGTHS


class _Run(NamedTuple):
    """Neighbouring documents of similar length, batched for attention."""

    lengths: tuple[int, ...]
    start: int
    """Row of its first token."""
    shape: tuple[int, int]
    """Documents and length as computed; `filled_up` for small batches."""

    @property
    def tokens(self) -> slice:
        """Rows of its tokens."""
        return slice(self.start, self.start + sum(self.lengths))

    def padded(self, rows: Tensor) -> Tensor:
        """Its tokens ``[documents, longest, width]``, zero where a document is shorter."""
        (count, longest), own = self.shape, rows[self.tokens]
        if self._is_full:
            return own.view(count, longest, -1)
        padded = rows.new_zeros(count, longest, rows.shape[1])
        padded[self._is_real()] = own
        return padded

    def packed(self, padded: Tensor) -> Tensor:
        """Undo `padded`."""
        if self._is_full:
            return padded.reshape(-1, padded.shape[-1])
        return padded[self._is_real()]

    @property
    def _is_full(self) -> bool:
        count, longest = self.shape
        return count == len(self.lengths) and longest == min(self.lengths)

    def _is_real(self) -> Tensor:
        count, longest = self.shape
        lengths = torch.zeros(count, dtype=torch.int64)
        lengths[: len(self.lengths)] = torch.tensor(self.lengths)
        return torch.arange(longest) < lengths.unsqueeze(1)


def _runs(lengths: Sequence[int]) -> list[_Run]:
    """Group neighbours while the shortest has at least three quarters of the longest's tokens."""
    together: list[list[int]] = []
    for length in lengths:
        if together and min(*together[-1], length) >= 0.75 * max(*together[-1], length):
            together[-1].append(length)
        else:
            together.append([length])
    runs: list[_Run] = []
    start = 0
    for run in together:
        shape = len(run), max(run)
        runs.append(_Run(tuple(run), start, filled_up(*shape) if len(lengths) <= FEW else shape))
        start += sum(run)
    return runs


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        runs: list[_Run],
        cos: Tensor,
        sin: Tensor,
        heads: int,
        groups: int,
        dropout: float,
    ) -> Tensor:
        size = 2 * cos.shape[1]
        mixed = qkv.new_zeros(qkv.shape[0], heads * groups * size)
        kept: list[Tensor] = []
        for run in runs:
            attended, saved = _attend(run.padded(qkv), cos, sin, heads, groups, dropout)
            mixed[run.tokens] = run.packed(attended)
            kept += saved
        ctx.save_for_backward(cos, sin, *kept)
        ctx.layout = runs, heads, groups, dropout
        return mixed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin, *kept = ctx.saved_tensors
        runs, heads, groups, dropout = ctx.layout
        each = len(kept) // max(1, len(runs))
        size = 2 * cos.shape[1]
        for_qkv = gradient.new_zeros(gradient.shape[0], heads * (groups + 2) * size)
        for index, run in enumerate(runs):
            saved = kept[each * index : each * (index + 1)]
            back = _attend_backward(run.padded(gradient), saved, cos, sin, heads, groups, dropout)
            for_qkv[run.tokens] = run.packed(back)
        return for_qkv, None, None, None, None, None, None


def _attend(
    qkv: Tensor, cos: Tensor, sin: Tensor, heads: int, groups: int, dropout: float
) -> tuple[Tensor, list[Tensor]]:
    """Attention of a batch of documents, ``[documents, length, width]``.

    Returns:
        The heads' outputs, and what the backward pass needs: rotated queries and keys, values,
        attention weights and, with dropout, which of these are kept.
    """
    batch, length = qkv.shape[:2]
    cos, sin, size = cos[:length], sin[:length], 2 * cos.shape[1]
    queries, keys, values = _split(qkv, heads, groups, size)
    scale = size**-0.5
    q = rotate(queries, cos * scale, sin * scale, qkv.new_empty(queries.shape))
    k = rotate(keys, cos, sin, qkv.new_empty(keys.shape))
    q, k = q.view(batch * heads, groups * length, size), k.view(batch * heads, length, size)
    v = values.reshape(batch * heads, length, size)
    scores = torch.bmm(q, k.transpose(1, 2))
    future = torch.full((length, length), -torch.inf, dtype=scores.dtype).triu_(1)
    scores.view(batch * heads, groups, length, length).add_(future)
    attention = torch.softmax(scores, dim=-1)
    kept = [torch.rand(attention.shape) >= dropout] if dropout else []
    mixed = torch.bmm(_dropped(attention, kept, dropout), v)
    mixed = mixed.view(batch, heads, groups, length, size)
    return mixed.permute(0, 3, 1, 2, 4).reshape(batch, length, -1), [q, k, v, attention, *kept]


def _dropped(weights: Tensor, kept: list[Tensor], dropout: float) -> Tensor:
    """Weights that are kept, divided by the fraction that is; all of them without dropout."""
    return weights * kept[0] * (1 / (1 - dropout)) if kept else weights


def _attend_backward(
    gradient: Tensor,
    saved: list[Tensor],
    cos: Tensor,
    sin: Tensor,
    heads: int,
    groups: int,
    dropout: float,
) -> Tensor:
    """Gradient of `_attend` with respect to ``qkv``."""
    q, k, v, attention, *kept = saved
    batch, length = gradient.shape[:2]
    cos, sin, size = cos[:length], sin[:length], 2 * cos.shape[1]
    by_head = gradient.view(batch, length, heads, groups, size).permute(0, 2, 3, 1, 4)
    mixed = by_head.reshape(batch * heads, groups * length, size)
    grad = _dropped(torch.bmm(mixed, v.transpose(1, 2)), kept, dropout)
    for_scores = torch.ops.aten._softmax_backward_data(grad, attention, -1, attention.dtype)
    for_qkv = gradient.new_empty(batch, length, heads * (groups + 2) * size)
    queries, keys, values = _split(for_qkv, heads, groups, size)
    scale = size**-0.5
    for_q = torch.bmm(for_scores, k).view(batch, heads, groups, length, size)
    rotate(for_q, cos * scale, sin * -scale, queries)
    for_k = torch.bmm(for_scores.transpose(1, 2), q).view(batch, heads, length, size)
    rotate(for_k, cos, -sin, keys)
    weights = _dropped(attention, kept, dropout)
    values.copy_(torch.bmm(weights.transpose(1, 2), mixed).view(batch, heads, length, size))
    return for_qkv


def _split(qkv: Tensor, heads: int, groups: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views: queries ``[batch, heads, groups, length, size]``, keys, values without groups."""
    batch, length = qkv.shape[:2]
    widths = [heads * groups * size, heads * size, heads * size]
    queries, keys, values = torch.split(qkv, widths, dim=-1)
    return (
        queries.view(batch, length, heads, groups, size).permute(0, 2, 3, 1, 4),
        keys.view(batch, length, heads, size).transpose(1, 2),
        values.view(batch, length, heads, size).transpose(1, 2),
    )
