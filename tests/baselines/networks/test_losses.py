"""Losses of a next item against one row and one item at a time."""

import math

import numpy as np
import pytest
import torch

from cllm4rec.baselines.networks.losses import Table, next_item_loss

HIDDEN = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
ITEMS = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 3, 8, 3, 5])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slowly(loss: str, negatives: list[int]) -> float:
    """Row by row and item by item, in Python's floats."""
    total = 0.0
    for hidden, target in zip(HIDDEN.tolist(), TARGETS.tolist(), strict=True):

        def logit(item: int, hidden: list[float] = hidden) -> float:
            return sum(h * w for h, w in zip(hidden, ITEMS[item].tolist(), strict=True))

        others = [item for item in negatives if item != target]
        if loss == "sampled":
            weight = (len(ITEMS) - 1) / len(negatives)
            among = math.exp(logit(target)) + sum(weight * math.exp(logit(j)) for j in others)
            total -= math.log(math.exp(logit(target)) / among)
        elif loss == "gbce":
            rate, t = len(negatives) / (len(ITEMS) - 1), 0.75
            beta = rate * (t * (1 - 1 / rate) + 1 / rate)
            total -= math.log(sigmoid(logit(target)) ** beta)
            total -= sum(math.log(1 - sigmoid(logit(j))) for j in others)
        else:
            among = sum(math.exp(logit(j)) for j in range(len(ITEMS)))
            total -= math.log(math.exp(logit(target)) / among)
    return total / len(TARGETS)


@pytest.mark.parametrize("loss", ["full", "sampled", "gbce"])
@pytest.mark.parametrize("negatives", [[1, 2, 7], [3, 3, 0, 6], [8]])
def test_equals_the_slow_version(loss, negatives):
    found = next_item_loss(loss, HIDDEN, Table(ITEMS), TARGETS, torch.tensor(negatives))
    assert found.item() == pytest.approx(slowly(loss, negatives), rel=1e-5)


def test_the_sampled_softmax_of_all_others_is_the_full_one():
    for row, target in enumerate(TARGETS.tolist()):
        others = torch.tensor([item for item in range(9) if item != target])
        one = HIDDEN[row : row + 1], Table(ITEMS), TARGETS[row : row + 1]
        sampled = next_item_loss("sampled", *one, others)
        full = next_item_loss("full", *one, others)
        assert sampled.item() == pytest.approx(full.item(), rel=1e-5)


def test_gradients_of_the_sampled_softmax_are_the_full_ones_on_average():
    rng = np.random.default_rng(0)

    def gradient(loss: str, negatives: torch.Tensor) -> torch.Tensor:
        items = ITEMS.clone().requires_grad_()
        next_item_loss(loss, HIDDEN, Table(items), TARGETS, negatives).backward()
        return items.grad

    draws = [gradient("sampled", torch.from_numpy(rng.integers(9, size=256))) for _ in range(200)]
    wanted = gradient("full", torch.tensor([0]))
    assert torch.stack(draws).mean(0) == pytest.approx(wanted, abs=0.02)
