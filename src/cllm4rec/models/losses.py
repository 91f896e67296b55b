"""The losses, each as a sum and a count.

Gradient accumulation, padding and data parallelism therefore cannot change the objective.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

NEVER = -1e30
"""Added to a score whose probability is to be zero."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A summed loss and the number of its terms."""

    total: Float[Tensor, ""]
    """Nats (or squared distance), summed."""
    count: int
    """Scored tokens, held-out items or entity-token occurrences."""


def item_likelihood(
    queries: Float[Tensor, "rows size"],
    candidates: Float[Tensor, "candidates size"],
    bias: Float[Tensor, " candidates"],
    rows: Int[Tensor, " targets"],
    targets: Int[Tensor, " targets"],
    *,
    dtype: torch.dtype = torch.float32,
    correction: Float[Tensor, " candidates"] | None = None,
) -> Loss:
    """Multinomial negative log likelihood −Σ log softmax(queries · candidatesᵀ + bias).

    With one target per row it is the next-token likelihood (paper eqs. 4 and 7); with a user's
    held-out items as targets it is the multi-hot likelihood of finetuning (eq. 10).

    Args:
        queries: the head's output, one row per scored position or user.
        candidates: tied vectors, of words only or of items only.
        bias: of the candidates; −inf removes one from the softmax.
        rows: row of each target, ascending.
        targets: candidate number of each target.
        dtype: compute dtype of the products; softmax and sums are float32.
        correction: added to the scores of candidates that are no target of their row.
    """
    function: Any = LinearCrossEntropy
    total = function.apply(queries, candidates, bias, rows, targets, dtype, correction)
    return Loss(total, targets.numel())


def sampled_item_likelihood(
    vectors: Callable[[Tensor], Tensor],
    queries: Float[Tensor, "rows size"],
    bias: Float[Tensor, " items"],
    rows: Int[Tensor, " targets"],
    targets: Int[Tensor, " targets"],
    probability: Float[Tensor, " items"],
    *,
    dtype: torch.dtype = torch.float32,
) -> Loss:
    """`item_likelihood` over a sample of the items that is drawn here, by torch's generator.

    Each item is drawn by itself with its own probability π_j. A row's own targets are always in its
    softmax, as they are; the others that were drawn with −log π_j added to their scores (the log-q
    correction of Bengio & Senécal, 2008, for a draw without repetition). So the softmax's
    denominator has the mean that it should have, and where every π is one it is the exact one.

    Args:
        vectors: of items by number.
        queries: the head's output, one row per scored position or user.
        bias: of all items; −inf removes one from the softmax.
        rows: row of each target, ascending.
        targets: item number of each target.
        probability: π.
        dtype: compute dtype of the products.
    """
    is_drawn = torch.rand_like(probability) < probability
    drawn = is_drawn.nonzero().flatten()
    numbers, places = torch.unique(torch.cat([drawn, targets]), return_inverse=True)
    # A target of another row that was not drawn is no candidate of this one. Not −inf: a row
    # without targets may have no candidate at all, and would have NaN for a gradient of nothing.
    correction = torch.where(is_drawn, -probability.log(), NEVER)[numbers]
    return item_likelihood(
        queries,
        vectors(numbers),
        bias.index_select(0, numbers),
        rows,
        places[len(drawn) :],
        dtype=dtype,
        correction=correction,
    )


def next_token_likelihood(
    queries: Float[Tensor, "scored size"],
    candidates: Float[Tensor, "candidates size"],
    bias: Float[Tensor, " candidates"],
    targets: Int[Tensor, " scored"],
    *,
    dtype: torch.dtype = torch.float32,
) -> Loss:
    """`item_likelihood` with one target per row."""
    rows = torch.arange(len(targets), device=targets.device)
    return item_likelihood(queries, candidates, bias, rows, targets, dtype=dtype)


def cooccurrence_likelihood(
    scores: Float[Tensor, "rows items"],
    own: Int[Tensor, " rows"],
    pairs: Float[Tensor, "rows items"],
) -> Loss:
    """−Σ over rows i and items j of pairs_ij · log softmax_j of i's scores, without i itself.

    Args:
        scores: of every item beside the row's; with the log of its frequency added (log-q
            correction), what is learned is what they have in common beyond it.
        own: number of each row's item, which is no candidate.
        pairs: how often the two stand in one history; 0 at ``own``.

    Returns:
        The sum and the number of rows.
    """
    others = scores.scatter(1, own.unsqueeze(1), -torch.inf)
    log_p = F.log_softmax(others, dim=1).scatter(1, own.unsqueeze(1), 0.0)
    return Loss(-(pairs * log_p).sum(), len(own))


def mutual_regularisation(
    own: Float[Tensor, "occurrences size"], other: Float[Tensor, "occurrences size"]
) -> Loss:
    """½‖z^l − z^c‖² over entity-token occurrences; no gradient to ``other`` (eqs. 5 and 8)."""
    difference = own - other.detach()
    return Loss(0.5 * difference.square().sum(), own.shape[0])


def prior(own: Float[Tensor, "occurrences size"]) -> Loss:
    """½‖z^l‖² over entity-token occurrences: −log of the prior N(0, 1), without its constant."""
    return Loss(0.5 * own.square().sum(), own.shape[0])


class LinearCrossEntropy(torch.autograd.Function):
    """Σ over targets of the cross entropy of ``queries @ candidates.T + bias``, in blocks of rows.

    The forward pass also computes the gradient, so only one block of logits is in memory at a
    time. Products are in ``dtype``, softmax and sums in float32.
    """

    BLOCK_LOGITS = 4_000_000
    """Logits of one block: 16 MB in float32, close to the size of a CPU's last-level cache."""
    DEVICE_BLOCKS = 16
    """Times as many on other devices, 256 MB: few kernels, and mostly one block."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        candidates: Tensor,
        bias: Tensor,
        rows: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
        correction: Tensor | None,
    ) -> Tensor:
        """Sum of the targets' negative log likelihoods."""
        need_queries, need_candidates, need_bias = ctx.needs_input_grad[:3]
        cast_candidates, cast_queries = candidates.to(dtype), queries.to(dtype)
        grad_queries = torch.empty_like(queries) if need_queries else None
        grad_candidates = torch.zeros_like(candidates) if need_candidates else None
        grad_bias = torch.zeros_like(bias) if need_bias else None
        total = queries.new_zeros(())
        on_processor = queries.device.type == "cpu"
        most = LinearCrossEntropy.BLOCK_LOGITS * (
            1 if on_processor else LinearCrossEntropy.DEVICE_BLOCKS
        )
        block = max(1, most // max(candidates.shape[0], 1))
        starts = list(range(0, queries.shape[0], block))
        edges = [0, len(rows)]
        if len(starts) > 1:  # the host waits for the device
            edges = torch.searchsorted(
                rows, torch.tensor([*starts, queries.shape[0]]).to(rows)
            ).tolist()
        for start, low, high in zip(starts, edges[:-1], edges[1:], strict=bool(starts)):
            part = cast_queries[start : start + block]
            at, wanted = rows[low:high] - start, targets[low:high]
            scores = (part @ cast_candidates.T).to(queries.dtype) + bias
            if correction is not None:
                of_targets = scores[at, wanted]
                scores += correction
                scores[at, wanted] = of_targets
            log_p = F.log_softmax(scores, dim=-1)
            total -= log_p[at, wanted].sum()
            if not (need_queries or need_candidates or need_bias):
                continue
            # A row's gradient is (its number of targets) · softmax − the targets' indicator.
            ones = queries.new_ones(len(at))  # not bincount, which looks for the greatest first
            counts = queries.new_zeros(len(part)).index_add_(0, at, ones)
            gradient = log_p.exp_().mul_(counts.unsqueeze(1))
            gradient[at, wanted] -= 1  # a row's targets are distinct
            if grad_bias is not None:
                grad_bias += gradient.sum(0)
            cast_gradient = gradient.to(dtype)
            if grad_queries is not None:
                grad_queries[start : start + block] = cast_gradient @ cast_candidates
            if grad_candidates is not None:
                grad_candidates += cast_gradient.T @ part
        ctx.save_for_backward(
            *(
                g if g is not None else queries.new_empty(0)
                for g in (grad_queries, grad_candidates, grad_bias)
            )
        )
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients from ``forward``, scaled."""
        grads = (
            saved * grad_output if needed else None
            for saved, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        )
        return (*grads, None, None, None, None)
