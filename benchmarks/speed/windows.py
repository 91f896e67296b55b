"""Many optimiser steps as training does them, or many lists: one window, timed as a whole.

A device computes while the host goes on, and another thread makes the next step's batches: a
single step says neither how long a step takes nor what it waits for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from benchmarks.speed.clock import Clock
from benchmarks.speed.stopwatch import Stopwatch, Timed
from benchmarks.speed.workloads import Amount, Scoring, Training
from cllm4rec.models.randomness import seeded
from cllm4rec.planning.flops import Cost
from cllm4rec.training.ahead import made
from cllm4rec.training.average import Average
from cllm4rec.training.loop import Pass, backward, step_batches
from cllm4rec.training.readings import Unread
from cllm4rec.training.world import ALONE

BATCHES = "batches"
"""Making batches in turn with the rest, or waiting for the thread that makes them."""


class Window(Protocol):
    """Work of several steps."""

    steps: int

    def warm_up(self) -> None:
        """One step: kernels are set up, moments made."""
        ...

    def lengthen(self, steps: int) -> None:
        """Let a window have as many steps, or as many as there are."""
        ...

    def run(self) -> None:
        """All steps, without a clock."""
        ...

    def timed(self) -> list[Timed]:
        """Functions of the thread that computes, by part."""
        ...

    def work(self) -> "Work":
        """What a window does."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """Of a window.

    Attributes:
        amount: of all its steps.
        making_s: seconds that a thread takes to make all batches; None where nobody makes any
            beside the work.
    """

    amount: Amount
    making_s: float | None


class TrainingWindow:
    """Steps of an epoch, in its order, as `training.loop.fit` does them.

    Args:
        workload: objective and optimiser.
        clock: of the device.
        average: of parameters, in steps, as in finetuning; 0: none.
        most_tokens: the setting ``device_tokens``.
    """

    def __init__(
        self, workload: Training, clock: Clock, *, average: float, most_tokens: int
    ) -> None:
        self.workload, self.clock = workload, clock
        objective = workload.objective
        self.every = objective.steps(Pass(workload.stage, 0, len(objective.corpus)))
        self.steps = 1
        self.batches_of = partial(step_batches, objective, most_tokens=most_tokens)
        self.average = Average(objective.parameters(), average * len(self.every))

    @property
    def _chosen(self) -> Sequence[Any]:
        return self.every[: self.steps]

    def warm_up(self) -> None:
        """A step."""
        self._train(self.every[:1])

    def lengthen(self, steps: int) -> None:
        """The first so many of the epoch, which are in random order."""
        self.steps = min(max(1, steps), len(self.every))

    def run(self) -> None:
        """The window's steps."""
        self._train(self._chosen)

    def _train(self, steps: Sequence[Any]) -> None:
        workload, ahead = self.workload, self.clock.device.type != "cpu"
        unread = Unread(lambda row, documents: None, ALONE, together=ahead)
        with made(self.batches_of, steps, ahead=ahead) as coming:
            for number in range(len(steps)):
                batches = self.take(coming)
                with seeded(0, workload.stage, number):
                    measured = backward(workload.objective, workload.optimizer, batches)
                    unread.add(measured, {}, 0)
                    workload.optimizer.step()
                self.average.step()
                unread.read_if_due()
            unread.read()

    def take(self, coming: Iterator[list[Any]]) -> list[Any]:
        """The next step's batches."""
        return next(coming)

    def timed(self) -> list[Timed]:
        """Parts of a step; what makes batches may be another thread's."""
        parts = [each for each in self.workload.timed() if each.name != "batches"]
        return [
            Timed(self, "take", BATCHES),
            *parts,
            Timed(self.average, "step", "optimiser"),
        ]

    def work(self) -> Work:
        """Batches are made once more, alone, and counted."""
        steps: list[list[Any]] = []
        making_s = self.clock.seconds_of(lambda: steps.extend(map(self.batches_of, self._chosen)))
        amounts = [self.workload.amount_of(batches) for batches in steps]
        return Work(_sum(amounts), making_s)


class ScoringWindow:
    """Lists for the same users, several times.

    Args:
        workload: model and users.
    """

    def __init__(self, workload: Scoring) -> None:
        self.workload, self.steps = workload, 1

    def warm_up(self) -> None:
        """A call."""
        self.workload.run()

    def lengthen(self, steps: int) -> None:
        """Call so often."""
        self.steps = max(1, steps)

    def run(self) -> None:
        """All calls."""
        for _ in range(self.steps):
            self.workload.run()

    def timed(self) -> list[Timed]:
        """Parts of a call; prompts are batches, made in turn with the rest."""
        from cllm4rec.recommender import scorer

        parts = self.workload.timed()
        return [
            Timed(scorer, "collate_rows", BATCHES),
            *(each._replace(part=BATCHES) if each.part == "data" else each for each in parts),
        ]

    def work(self) -> Work:
        """Of one call, as often."""
        return Work(_sum([self.workload.amount] * self.steps), None)


def window_of(
    workload: Training | Scoring, clock: Clock, *, average: float, most_tokens: int
) -> Window:
    """Of a workload; arguments as of `TrainingWindow`."""
    if isinstance(workload, Training):
        return TrainingWindow(workload, clock, average=average, most_tokens=most_tokens)
    return ScoringWindow(workload)


def shares_of(window: Window, clock: Clock) -> dict[str, float]:
    """Where the time of a window goes, by part; the device is waited for where a part ends.

    The waiting takes time itself, and nothing is done behind it: shares are of a slower window.
    """
    stopwatch = Stopwatch(clock.wait)
    with stopwatch.running(window.timed()):
        window.run()
    return stopwatch.shares()


def seconds_a_step(
    window: Window, clock: Clock, seconds: float, windows: int, most_steps: int
) -> list[float]:
    """Seconds of a step in each of some windows, which take ``seconds`` together.

    Args:
        window: is lengthened to fit.
        clock: of the device.
        seconds: for all windows.
        windows: number of them.
        most_steps: of a window.
    """
    window.warm_up()
    step_s = clock.seconds_of(window.warm_up)
    window.lengthen(min(most_steps, int(seconds / windows / max(step_s, 1e-9))))
    steps = window.steps
    return [clock.seconds_of(window.run) / steps for _ in range(windows)]


def _sum(amounts: Sequence[Amount]) -> Amount:
    return Amount(
        sum(one.users for one in amounts),
        sum(one.tokens for one in amounts),
        sum(one.padded for one in amounts),
        sum((one.cost for one in amounts), Cost()),
    )
