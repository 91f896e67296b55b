"""An exponential moving average of the parameters, validated and saved in their place.

Steps with few users are noisy, and so is choosing the best epoch among them; averaging the last
epoch's steps removes most of that noise.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cllm4rec.training.world import own


class Average:
    """The exponential moving average of parameters over optimiser steps.

    After step n it is ``d · average + (1 - d) · parameters`` with
    ``d = min(1 - 1 / steps, n / (n + 9))``: the decay starts small, so that the average quickly
    forgets the initial values.

    Args:
        parameters: to average, by name.
        steps: mean number of steps averaged; at 1 or less there is no average.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], steps: float) -> None:
        self.parameters = parameters
        self.steps = steps
        self.taken = 0
        """Steps taken so far."""
        self.tensors: dict[str, Tensor] = {}
        """The averages, by name; empty without averaging."""
        if steps > 1:
            self.tensors = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def step(self) -> None:
        """Update the average after an optimiser step."""
        self.taken += 1
        decay = min(1 - 1 / max(self.steps, 1), self.taken / (self.taken + 9))
        averages = [own(average) for average in self.tensors.values()]
        if averages:  # together, as one launch on a GPU
            parameters = [own(self.parameters[name]) for name in self.tensors]
            torch._foreach_lerp_(averages, parameters, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swap the average into the parameters for the duration of the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def resume(self, taken: int, tensors: Mapping[str, Tensor]) -> None:
        """Restore a saved state."""
        self.taken = taken
        for name, average in self.tensors.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.tensors.items():
            parameter = self.parameters[name]
            before = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(before)
