"""Parts of a Llama layer with few passes over memory, forward and backward written out.

On a processor with native bfloat16 products, what is left of a truncated backbone's time is memory
traffic: norms, rotations, masks and softmaxes. The library's general versions take three to eight
passes where one or two do, and its attention kernel's backward pass is ten times slower on
histories of thirty items than plain batched products (docs/performance.md).
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def rms_norm(x: Float[Tensor, "*rows size"], eps: float) -> Float[Tensor, "*rows size"]:
    """``x / sqrt(mean(x²) + eps)`` over the last dimension, without a weight."""
    normed: Tensor = _RMSNorm.apply(x, eps)  # type: ignore[no-untyped-call]
    return normed


def swiglu(
    gate: Float[Tensor, "*rows size"], up: Float[Tensor, "*rows size"]
) -> Float[Tensor, "*rows size"]:
    """``silu(gate) · up``; neither sigmoid nor product is kept for the backward pass."""
    product: Tensor = _SwiGLU.apply(gate, up)  # type: ignore[no-untyped-call]
    return product


def causal_attention(
    qkv: Float[Tensor, "batch length width"],
    cos: Float[Tensor, "length half"],
    sin: Float[Tensor, "length half"],
    heads: int,
    groups: int,
) -> Float[Tensor, "batch length heads_size"]:
    """Rotary causal attention of every position, by materialised scores.

    Args:
        qkv: queries of ``heads · groups`` heads, keys and values of ``heads``, side by side.
        cos: of the rotation's angles.
        sin: of the same.
        heads: key and value heads.
        groups: query heads that share one of them.
    """
    attended: Tensor = _CausalAttention.apply(qkv, cos, sin, heads, groups)  # type: ignore[no-untyped-call]
    return attended


def rotate(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> Tensor:
    """Rotate each pair (i, i + half) of the last dimension by its angle, into ``out``.

    The transposed rotation, which a gradient takes, has ``-sin`` for ``sin``.
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
        scale = scale.square_().div_(x.shape[-1]).add_(eps).rsqrt_().to(x.dtype)
        normed: Tensor = x * scale
        ctx.save_for_backward(normed, scale)
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        normed, scale = ctx.saved_tensors
        wide = torch.promote_types(normed.dtype, torch.float32)
        along = (gradient * normed).mean(dim=-1, keepdim=True, dtype=wide)
        return torch.addcmul(gradient, normed, along.to(normed.dtype), value=-1).mul_(scale), None


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


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, heads: int, groups: int) -> Tensor:
        batch, length = qkv.shape[:2]
        size = 2 * cos.shape[1]
        queries, keys, values = _split(qkv, heads, groups, size)
        scale = size**-0.5
        q = rotate(
            queries,
            cos * scale,
            sin * scale,
            torch.empty_like(queries, memory_format=torch.contiguous_format),
        )
        k = rotate(keys, cos, sin, torch.empty_like(keys, memory_format=torch.contiguous_format))
        q, k = q.view(batch * heads, groups * length, size), k.view(batch * heads, length, size)
        v = values.reshape(batch * heads, length, size)
        scores = torch.bmm(q, k.transpose(1, 2))
        future = torch.full((length, length), -torch.inf, dtype=scores.dtype).triu_(1)
        scores.view(batch * heads, groups, length, length).add_(future)
        shares = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(q, k, v, shares, cos, sin)
        ctx.shape = batch, length, heads, groups, size
        mixed = torch.bmm(shares, v).view(batch, heads, groups, length, size)
        return mixed.permute(0, 3, 1, 2, 4).reshape(batch, length, heads * groups * size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        q, k, v, shares, cos, sin = ctx.saved_tensors
        batch, length, heads, groups, size = ctx.shape
        by_head = gradient.view(batch, length, heads, groups, size).permute(0, 2, 3, 1, 4)
        mixed = by_head.reshape(batch * heads, groups * length, size)
        for_shares = torch.bmm(mixed, v.transpose(1, 2))
        for_scores = torch.ops.aten._softmax_backward_data(for_shares, shares, -1, shares.dtype)
        for_qkv = gradient.new_empty(batch, length, heads * (groups + 2) * size)
        queries, keys, values = _split(for_qkv, heads, groups, size)
        scale = size**-0.5
        for_q = torch.bmm(for_scores, k).view(batch, heads, groups, length, size)
        rotate(for_q, cos * scale, sin * -scale, queries)
        for_k = torch.bmm(for_scores.transpose(1, 2), q).view(batch, heads, length, size)
        rotate(for_k, cos, -sin, keys)
        values.copy_(torch.bmm(shares.transpose(1, 2), mixed).view(batch, heads, length, size))
        return for_qkv, None, None, None, None


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
