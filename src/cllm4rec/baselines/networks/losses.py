"""Losses of a next item: over the whole catalogue, or over sampled negatives.

Sampled ones share their negatives among the positions of a step; an item that is the target of a
position is no negative of it.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

Loss = Literal["full", "sampled", "gbce"]


@runtime_checkable
class Items(Protocol):
    """Item vectors, which a network may compute for a few items alone."""

    @property
    def num_items(self) -> int:
        """Size of the catalogue."""
        ...

    def vectors(self, items: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Of some items; None for all."""
        ...


@dataclass(frozen=True, eq=False)
class Table:
    """Item vectors that are there already.

    Attributes:
        table: of all items.
    """

    table: Float[Tensor, "items dim"]

    @property
    def num_items(self) -> int:
        """Size of the catalogue."""
        return len(self.table)

    def vectors(self, items: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n dim"]:
        """Of some items; None for all."""
        return self.table if items is None else self.table[items]


def next_item_loss(
    loss: Loss,
    hidden: Float[Tensor, "n dim"],
    items: Items,
    targets: Int[Tensor, " n"],
    negatives: Int[Tensor, " m"],
) -> Float[Tensor, ""]:
    """The loss by name, mean over rows; ``full`` makes no use of ``negatives``."""
    if loss == "full":
        return full_softmax(hidden, items.vectors(), targets)
    wanted = (hidden * items.vectors(targets)).sum(dim=1)
    logits = hidden @ items.vectors(negatives).T
    # An item that is the target of a position is no negative of it.
    logits = logits.masked_fill(targets[:, None] == negatives, -math.inf)
    if loss == "sampled":
        return sampled_softmax(logits, wanted, items.num_items)
    return gbce(logits, wanted, items.num_items)


def full_softmax(
    hidden: Float[Tensor, "n dim"], items: Float[Tensor, "items dim"], targets: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Cross-entropy of ``hidden @ items.T`` in nats, mean over rows."""
    loss: Tensor = _FullSoftmax.apply(hidden, items, targets)  # type: ignore[no-untyped-call]
    return loss


def sampled_softmax(
    negatives: Float[Tensor, "n m"], wanted: Float[Tensor, " n"], num_items: int
) -> Float[Tensor, ""]:
    """Cross-entropy among the target and m uniform negatives, which stand for all others.

    Source: Bengio & Senécal, *Adaptive Importance Sampling*, 2008: a negative drawn with
    probability q counts 1 / (m · q) times, here (items − 1) / m.

    Args:
        negatives: logits; −inf where a negative is the target.
        wanted: logits of the targets.
        num_items: size of the catalogue.
    """
    stands_for = math.log(max(1, num_items - 1) / negatives.shape[1])
    every = torch.cat([wanted[:, None], negatives + stands_for], dim=1)
    return (torch.logsumexp(every, dim=1) - wanted).mean()


def gbce(
    negatives: Float[Tensor, "n m"],
    wanted: Float[Tensor, " n"],
    num_items: int,
    calibration: float = 0.75,
) -> Float[Tensor, ""]:
    """Generalised binary cross-entropy, which sampled negatives do not make overconfident.

    Source: Petrov & Macdonald, *gSASRec*, RecSys 2023, equations 8 to 10:
    ``−(log σ(s⁺)^β + Σ log(1 − σ(s⁻)))`` with ``β = α (t (1 − 1/α) + 1/α)``, α = m / (items − 1).

    Args:
        negatives: logits; −inf where a negative is the target.
        wanted: logits of the targets.
        num_items: size of the catalogue.
        calibration: t; 0 is plain binary cross-entropy, 1 has the softmax's probabilities.
    """
    rate = negatives.shape[1] / max(1, num_items - 1)
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    positive = beta * functional.logsigmoid(wanted)
    return -(positive + functional.logsigmoid(-negatives).sum(dim=1)).mean()


class _FullSoftmax(torch.autograd.Function):
    """Both gradients computed on the way forward.

    One ``[n, items]`` matrix is turned in place from logits to probabilities to gradients: half the
    time and a third of the memory of doing it step by step, and as exact.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        logits = hidden @ items.T
        rows = torch.arange(len(targets))
        wanted = logits[rows, targets]
        highest = logits.amax(dim=1, keepdim=True)
        exponentials = logits.sub_(highest).exp_()
        sums = exponentials.sum(dim=1, keepdim=True)
        loss = (highest + sums.log()).squeeze(1).sub_(wanted).mean()
        gradients = exponentials.div_(sums * len(targets))
        gradients[rows, targets] -= 1 / len(targets)
        ctx.save_for_backward(gradients @ items, gradients.T @ hidden)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, items = ctx.saved_tensors
        return upstream * hidden, upstream * items, None
