"""The softmax over candidates that are divided among processes, equal to the undivided one."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cllm4rec.models.losses import LinearCrossEntropy, Loss
from cllm4rec.training.rows import Rows


def divided_likelihood(
    rows_of: Rows,
    queries: Float[Tensor, "rows size"],
    candidates: Float[Tensor, "own size"],
    bias: Float[Tensor, " candidates"],
    rows: Int[Tensor, " targets"],
    targets: Int[Tensor, " targets"],
    *,
    dtype: torch.dtype,
) -> Loss:
    """`item_likelihood` where each process has some of the candidates; all call it together.

    Args:
        rows_of: which candidates are whose.
        queries: of this process, perhaps none.
        candidates: of this process.
        bias: of all candidates.
        rows: row of each target, ascending.
        targets: candidate number of each target.
        dtype: compute dtype of the products, the same on every process.
    """
    function: Any = DividedCrossEntropy
    total = function.apply(queries, candidates, bias, rows, targets, rows_of, dtype)
    return Loss(total, targets.numel())


class DividedCrossEntropy(torch.autograd.Function):
    """`LinearCrossEntropy` of all processes' queries, each over its own candidates.

    A process's sum has its own queries' terms; the gradients of its candidates and of the bias
    have everyone's. Normalisers are combined as logarithms, so nothing overflows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        candidates: Tensor,
        bias: Tensor,
        rows: Tensor,
        targets: Tensor,
        rows_of: Rows,
        dtype: torch.dtype,
    ) -> Tensor:
        """Sum of this process's targets' negative log likelihoods."""
        world, low, high = rows_of.world, rows_of.low, rows_of.high
        everyones, first = world.concatenated(queries)
        all_targets, first_target = world.concatenated(targets)
        all_rows, _ = world.concatenated(rows + first)
        cast_candidates, cast_queries = candidates.to(dtype), everyones.to(dtype)
        grad_queries = torch.zeros_like(everyones)
        grad_candidates, grad_bias = torch.zeros_like(candidates), torch.zeros_like(bias)
        # Numerator and denominator of every target: this process's part of them.
        scores = everyones.new_zeros(len(all_targets))
        normalisers = everyones.new_zeros(len(everyones))
        block = max(1, LinearCrossEntropy.BLOCK_LOGITS // max(rows_of.most, 1))  # on each the same
        starts = list(range(0, len(everyones), block))
        edges = torch.searchsorted(all_rows, torch.tensor([*starts, len(everyones)]).to(all_rows))
        for start, begin, end in zip(starts, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            part = cast_queries[start : start + block]
            at, wanted = all_rows[begin:end] - start, all_targets[begin:end]
            is_own = (wanted >= low) & (wanted < high)
            logits = (part @ cast_candidates.T).to(everyones.dtype) + bias[low:high]
            each = logits.new_zeros(world.size, len(part))
            each[world.rank] = logits.logsumexp(dim=1)
            world.sum_([each])
            normaliser = each.logsumexp(dim=0)
            normalisers[start : start + block] = normaliser
            own_at, own_wanted = at[is_own], wanted[is_own] - low
            scores[begin:end][is_own] = logits[own_at, own_wanted]
            counts = torch.bincount(at, minlength=len(part)).to(logits.dtype)
            gradient = logits.sub_(normaliser[:, None]).exp_().mul_(counts[:, None])
            gradient[own_at, own_wanted] -= 1
            grad_bias[low:high] += gradient.sum(0)
            cast_gradient = gradient.to(dtype)
            grad_queries[start : start + block] = cast_gradient @ cast_candidates
            grad_candidates += cast_gradient.T @ part
        world.sum_([grad_queries, scores])
        own_scores = scores[first_target : first_target + len(targets)]
        ctx.save_for_backward(
            grad_queries[first : first + len(queries)].clone(), grad_candidates, grad_bias
        )
        return (normalisers[rows + first] - own_scores).sum()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients from ``forward``, scaled: the scale is the same on every process."""
        return (*(saved * grad_output for saved in ctx.saved_tensors), None, None, None, None)
