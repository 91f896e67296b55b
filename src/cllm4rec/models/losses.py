"""The method's losses, each a sum and a count.

Accumulation, padding and data-parallel training so cannot change the objective.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A summed loss and what it was summed over."""

    total: Float[Tensor, ""]
    """Nats (or squared distance), summed."""
    count: int
    """Scored tokens, held-out items or entity-token occurrences."""


def token_likelihood(
    hidden: Float[Tensor, "scored size"],
    weight: Float[Tensor, "vocabulary size"],
    bias: Float[Tensor, " vocabulary"],
    targets: Int[Tensor, " scored"],
    *,
    half_precision: bool = False,
) -> Loss:
    """−Σ log p(x_k | x_<k, prompt), the softmax over items only or words only (eqs. 4, 7).

    Args:
        hidden: query at each scored position.
        weight: candidates' embeddings, tied.
        bias: of the candidates; −inf leaves one out.
        targets: index of each position's true next token.
        half_precision: multiply in bfloat16.
    """
    function: Any = LinearCrossEntropy
    total = function.apply(hidden, weight, bias, targets, half_precision)
    return Loss(total, targets.numel())


def holdout_likelihood(
    logits: Float[Tensor, "batch items"], rows: Int[Tensor, " held"], items: Int[Tensor, " held"]
) -> Loss:
    """Multinomial likelihood −Σ_j r_j^hold log softmax_j of the held-out items only (paper eq. 10).

    Args:
        logits: scores of the whole catalogue; −inf excludes an item.
        rows: user (row of ``logits``) of each held-out item.
        items: the held-out items' numbers.
    """
    log_normaliser = logits.logsumexp(dim=-1)
    return Loss((log_normaliser[rows] - logits[rows, items]).sum(), items.numel())


def mutual_regularisation(
    own: Float[Tensor, "entities size"],
    other: Float[Tensor, "entities size"],
    occurrences: Int[Tensor, " occurrences"],
) -> Loss:
    """½‖z^l − z^c‖² over entity-token occurrences, the other side fixed (eqs. 5 and 8)."""
    difference = own[occurrences] - other.detach()[occurrences]
    return Loss(0.5 * difference.square().sum(), occurrences.numel())


class LinearCrossEntropy(torch.autograd.Function):
    """Σ cross entropy of ``hidden @ weight.T + bias``, in blocks.

    The gradient is computed on the way forward, so that no more than one block of logits is ever
    held. With ``half_precision`` products are bfloat16, softmax and sums float32.
    """

    BLOCK_LOGITS = 4_000_000
    """Logits of one block: 16 MB in float32, which stays near the processor's last-level cache."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        half_precision: bool,
    ) -> Tensor:
        """Sum of the scored tokens' negative log likelihoods."""
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        dtype = torch.bfloat16 if half_precision else hidden.dtype
        cast_weight, cast_hidden = weight.to(dtype), hidden.to(dtype)
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight) if need_weight else None
        grad_bias = torch.zeros_like(bias) if need_bias else None
        total = hidden.new_zeros(())
        block = max(1, LinearCrossEntropy.BLOCK_LOGITS // weight.shape[0])
        for start in range(0, hidden.shape[0], block):
            part, wanted = cast_hidden[start : start + block], targets[start : start + block]
            log_p = F.log_softmax((part @ cast_weight.T).to(hidden.dtype) + bias, dim=-1)
            total -= log_p.gather(1, wanted.unsqueeze(1)).sum()
            if not (need_hidden or need_weight or need_bias):
                continue
            gradient = log_p.exp_()
            gradient[torch.arange(len(wanted), device=wanted.device), wanted] -= 1
            if grad_bias is not None:
                grad_bias += gradient.sum(0)
            cast_gradient = gradient.to(dtype)
            if grad_hidden is not None:
                grad_hidden[start : start + block] = cast_gradient @ cast_weight
            if grad_weight is not None:
                grad_weight += cast_gradient.T @ part
        ctx.save_for_backward(
            *(
                g if g is not None else hidden.new_empty(0)
                for g in (grad_hidden, grad_weight, grad_bias)
            )
        )
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients kept by ``forward``, scaled."""
        grads = (
            saved * grad_output if needed else None
            for saved, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        )
        return (*grads, None, None)
