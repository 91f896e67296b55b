import math

import pytest
import torch
from torch import nn

from cllm4rec.baselines.networks.checkpoints import checkpoints
from cllm4rec.errors import RunError


class Counter:
    """Trains by adding 1, and notes what torch drew in each epoch."""

    def __init__(self):
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.modes, self.draws = [], []

    def __call__(self, number):
        assert number == len(self.draws)
        self.modes.append(self.network.training)
        self.draws.append(torch.rand(()).item())
        with torch.no_grad():
            self.network.weight += 1
        return 0.5


def look(counter, epochs):
    return checkpoints(counter.network, counter, epochs, label="counter", seed=3)


def test_a_frozen_copy_after_each_number_of_epochs():
    counter = Counter()
    found = list(look(counter, [2, 5]))
    assert [(epochs, each.weight.item()) for epochs, each in found] == [(2, 2.0), (5, 5.0)]
    assert counter.modes == [True] * 5
    assert all(not each.training and not each.weight.requires_grad for _, each in found)


def test_who_stops_asking_stops_the_training():
    counter = Counter()
    next(look(counter, [2, 1000]))
    assert len(counter.draws) == 2


def test_the_draws_of_an_epoch_depend_on_nothing_but_the_seed():
    alone, disturbed = Counter(), Counter()
    list(look(alone, [4]))
    for _ in look(disturbed, [1, 2, 4]):
        torch.rand(7)
    assert alone.draws == disturbed.draws
    assert len(set(alone.draws)) == 4


def test_a_diverged_training_is_refused():
    with pytest.raises(
        RunError, match="baseline counter has diverged: the loss of epoch 0 is not finite"
    ):
        list(checkpoints(nn.Linear(1, 1), lambda number: math.nan, [1], label="counter", seed=0))
