"""A running average of the parameters, which is validated and kept instead of the last step's.

Steps with few users are noisy, and so is the choice of the best epoch among them; the average of
the last epoch's steps has most of what they have in common and little of what they have not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of parameters over optimiser steps.

    After step n it is ``d · average + (1 - d) · parameters`` with
    ``d = min(1 - 1 / steps, n / (n + 9))``: the first steps are forgotten sooner, so that the
    average does not stay where training began.

    Args:
        parameters: what is averaged, by name.
        steps: over how many steps, in the mean; 1 or less: the parameters themselves.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], steps: float) -> None:
        self.parameters = parameters
        self.steps = steps
        self.taken = 0
        """Steps so far."""
        self.tensors: dict[str, Tensor] = {}
        """The average, by name; none where the parameters themselves serve."""
        if steps > 1:
            self.tensors = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def step(self) -> None:
        """Take the parameters after an optimiser step into account."""
        self.taken += 1
        decay = min(1 - 1 / max(self.steps, 1), self.taken / (self.taken + 9))
        for name, average in self.tensors.items():
            average.lerp_(self.parameters[name], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the parameters' place, which come back afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def resume(self, taken: int, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a saved state."""
        self.taken = taken
        for name, average in self.tensors.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.tensors.items():
            parameter = self.parameters[name]
            own = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(own)
