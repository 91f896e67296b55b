"""Losses of steps, read from a device together: each reading waits until the device is done."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from cllm4rec.training.lazy import gradient_of
from cllm4rec.training.world import ALONE, World, own

TOGETHER = 16
"""Steps whose losses are read at once, at most."""
SECONDS = 1.0
"""Between two readings, at most, where a step takes no longer."""


@dataclass(frozen=True)
class Measured:
    """What one step has measured, on its device.

    Attributes:
        totals: this process's summed loss of each micro-batch, by name.
        counts: of all processes, by name: what a sum is divided by.
        weights: of the losses.
        norm: of all gradients of this process; not finite where one of them is not.
    """

    totals: Mapping[str, Sequence[Tensor]]
    counts: Mapping[str, int]
    weights: Mapping[str, float]
    norm: Tensor

    @classmethod
    def of(
        cls,
        totals: Mapping[str, Sequence[Tensor]],
        counts: Mapping[str, int],
        weights: Mapping[str, float],
        optimizer: torch.optim.Optimizer,
    ) -> "Measured":
        """After the backward pass; nothing is waited for."""
        trained = (p for group in optimizer.param_groups for p in group["params"])
        gradients = (gradient_of(parameter) for parameter in trained)
        norm = get_total_norm([own(each) for each in gradients if each is not None])
        return cls(totals, counts, weights, norm)

    @property
    def _on_device(self) -> list[Tensor]:
        of_batches = (total for totals in self.totals.values() for total in totals)
        return [self.norm.isfinite().float(), *of_batches]

    def _means(self, numbers: Iterator[float], world: World) -> dict[str, float]:
        is_finite = bool(next(numbers))
        # Summed by the host, in double precision.
        own_sums = {name: float(sum(next(numbers) for _ in of)) for name, of in self.totals.items()}
        sums = world.total(own_sums, list(own_sums))
        if not all(math.isfinite(total) for total in sums.values()):
            raise FloatingPointError("the loss is not finite; lower the stage's learning_rate")
        if world.total({"bad": int(not is_finite)}, ["bad"])["bad"]:  # perhaps of another process
            raise FloatingPointError("a gradient is not finite; lower the stage's learning_rate")
        means = {name: sums[name] / max(self.counts[name], 1) for name in sums}
        return {"loss": sum(self.weights[name] * mean for name, mean in means.items()), **means}


def read(steps: Sequence[Measured], world: World = ALONE) -> Iterator[dict[str, float]]:
    """Mean losses of each step by name, and their weighted sum ``loss``; the device is waited for.

    Args:
        steps: in order.
        world: processes whose losses are summed.

    Raises:
        FloatingPointError: a loss or a gradient of the step is not finite.
    """
    if not steps:
        return
    numbers = iter(torch.stack([each for step in steps for each in step._on_device]).tolist())
    for step in steps:
        yield step._means(numbers, world)


class Diverged(Exception):
    """A step's loss or gradient is not finite.

    Args:
        row: of the step, without losses.
        why: in words.
    """

    def __init__(self, row: Mapping[str, Any], why: str) -> None:
        super().__init__(why)
        self.row = row


class Unread:
    """Steps whose losses nobody has read yet.

    Args:
        told: called with each step's row, its losses among them, and its documents; in order.
        world: processes whose losses are summed.
        together: read several steps at once; otherwise each is to be read before its update.
    """

    def __init__(
        self, told: Callable[[dict[str, Any], int], None], world: World, *, together: bool
    ) -> None:
        self.told, self.world, self.together = told, world, together
        self._steps: list[tuple[Measured, dict[str, Any], int]] = []
        self._known: list[tuple[dict[str, Any], int]] = []
        self._read_at_s = time.monotonic()

    def add(self, measured: Measured, row: dict[str, Any], documents: int) -> None:
        """One more step, which is not applied yet.

        Raises:
            Diverged: see `read`; where steps are read one by one.
        """
        self._steps.append((measured, row, documents))
        if not self.together:
            self._read()

    def read_if_due(self) -> None:
        """Read what has come together, and tell it.

        Raises:
            Diverged: see `read`.
        """
        due = len(self._steps) >= TOGETHER or time.monotonic() - self._read_at_s >= SECONDS
        if due or not self.together:
            self.read()

    def read(self) -> None:
        """Read and tell all.

        Raises:
            Diverged: a loss or a gradient is not finite; the steps before it have been told.
        """
        try:
            self._read()
        finally:
            known, self._known = self._known, []
            for row, documents in known:
                self.told(row, documents)

    def _read(self) -> None:
        steps, self._steps = self._steps, []
        values = read([measured for measured, _, _ in steps], self.world)
        for _, row, documents in steps:
            try:
                losses = next(values)
            except FloatingPointError as error:
                raise Diverged(row, str(error)) from None
            self._known.append(({**row, **losses}, documents))
        self._read_at_s = time.monotonic()
