"""The training loop of every stage.

A stage is a plan of passes over documents; each pass belongs to one objective. A step's documents,
their order and their masks are pure functions of (seed, pass, step). The state between steps is
the parameters, the optimiser moments and the position: a checkpoint holds just these, and a
resumed run equals an uninterrupted one. Several processes divide a step's documents among them and
sum its gradients: the step is the same.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from cllm4rec import progress
from cllm4rec.errors import ConfigError
from cllm4rec.models.losses import Loss
from cllm4rec.models.randomness import seeded
from cllm4rec.training.ahead import made
from cllm4rec.training.lazy import catch_up
from cllm4rec.training.memory import NoMemory, memory_for, micro_batches, out_of_memory
from cllm4rec.training.readings import Diverged, Measured, Unread, read
from cllm4rec.training.world import ALONE, World


@dataclass(frozen=True, slots=True)
class Pass:
    """Documents ``start … start + count`` of an objective's stream, reshuffled every epoch."""

    objective: str
    start: int
    count: int


@runtime_checkable
class Objective(Protocol):
    """A weighted sum of losses over one kind of document."""

    @property
    def corpus(self) -> Sized:
        """Its documents."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each loss, by name."""
        ...

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Parameters to train, by name."""
        ...

    def steps(self, part: Pass) -> Sequence[Sequence[Any]]:
        """The documents of each optimiser step of the pass."""
        ...

    def lengths(self, step: Sequence[Any]) -> Sequence[int]:
        """About how many tokens each document of a step has; processes share them by it."""
        ...

    def batches(self, step: Sequence[Any]) -> Sequence[Any]:
        """Micro-batches of a step, perhaps an empty one; their gradients are accumulated."""
        ...

    def counts(self, batch: Any) -> Mapping[str, int]:
        """Number of terms of each loss in the batch; needs no forward pass."""
        ...

    def losses(self, batch: Any) -> Mapping[str, Loss]:
        """The summed losses of one micro-batch."""
        ...


@runtime_checkable
class Meeting(Objective, Protocol):
    """An objective whose processes give each other what they share of a model."""

    def met(self, batches: Sequence[Any]) -> list[Any]:
        """A step's micro-batches of this process and idle ones; called on every process."""
        ...

    def return_gradients(self) -> None:
        """Bring gradients to those who have the parameters; called on every process."""
        ...


@dataclass
class Position:
    """Training progress: the next pass, and the next step within it."""

    pass_number: int = 0
    step: int = 0


def fit(
    plan: Sequence[Pass],
    objectives: Mapping[str, Objective],
    optimizers: Mapping[str, torch.optim.Optimizer],
    *,
    stage: str,
    seed: int = 0,
    position: Position,
    log: Callable[..., None],
    after_pass: Callable[[int], bool],
    checkpoint: Callable[[Position], None],
    schedule: str = "cosine",
    ends_after: int | None = None,
    after_step: Callable[[], None] = lambda: None,
    checkpoint_seconds: float = 120.0,
    world: World = ALONE,
    most_tokens: int = 0,
    ahead: bool = False,
) -> None:
    """Run the passes of ``plan`` from ``position`` on.

    Args:
        plan: passes in order; may alternate between objectives (L-steps and C-steps).
        objectives: by the names used in the plan.
        optimizers: one per objective; their base rate is the peak of the schedule.
        stage: name for the log and the progress bar.
        seed: for torch's draws, such as dropout; each step derives its own.
        position: where to begin; updated in place after every step.
        log: called with one row per step, in order; no checkpoint has a step that is not logged.
        after_pass: called with each finished pass's number; true ends training early.
        checkpoint: called with the position after each pass, and between steps every
            ``checkpoint_seconds``.
        schedule: of the learning rate over the whole plan, among ``SCHEDULES``.
        ends_after: passes after which ``after_pass`` will end it; None where nobody knows.
        after_step: called after every step.
        checkpoint_seconds: most seconds of work that a kill can lose.
        world: the processes that train together; all are at the same position.
        most_tokens: read at once, the setting ``device_tokens``; 0: as the objectives have it.
        ahead: whether another thread makes the next step's batches while a device computes, and
            one process reads the losses of several steps together, so that the host need not wait
            for each; a processor has its own threads for that.

    Raises:
        ConfigError: a loss or gradient is not finite, or the device has no memory for the step; no
            checkpoint has it.
    """
    saved_at_s = time.monotonic()
    expected = plan[:ends_after]
    total = sum(part.count for part in expected)
    if position != Position() and position.pass_number < len(plan):
        progress.note(
            f"{stage} goes on where it stopped: pass {position.pass_number + 1} of {len(expected)}"
        )
    with progress.task(stage.capitalize(), total=total, unit="document") as task:

        def told(row: dict[str, Any], documents: int) -> None:
            log(**row)
            name = "loss" if len(objectives) == 1 else f"{row['part']} loss"
            task.advance(documents, **{name: row["loss"]})

        def saved(at: Position) -> None:
            for each in optimizers.values():
                catch_up(each)
            checkpoint(at)

        unread = Unread(told, world, together=ahead and world.size == 1)
        task.advance(sum(part.count for part in plan[: position.pass_number]))
        while position.pass_number < len(plan):
            part = plan[position.pass_number]
            objective, optimizer = objectives[part.objective], optimizers[part.objective]
            steps = objective.steps(part)
            coming = steps[position.step :]
            batches_of = partial(step_batches, objective, world=world, most_tokens=most_tokens)
            row = {"stage": stage, "part": part.objective, "pass": position.pass_number}
            with (
                _in_a_line(stage, optimizer, most_tokens),
                made(batches_of, coming, ahead=ahead) as all_batches,
            ):
                for step, batches in zip(coming, all_batches, strict=True):
                    done = _fraction_done(plan, position, len(steps))
                    rate = _set_rate(optimizer, SCHEDULES[schedule](done))
                    numbered = {**row, "step": position.step + 1, "rate": rate}
                    with (
                        seeded(seed, stage, position.pass_number, position.step, *world.names),
                        memory_for(batches),
                    ):
                        measured = backward(objective, optimizer, batches, world)
                        unread.add(measured, numbered, len(step))
                        optimizer.step()
                    after_step()
                    position.step += 1
                    unread.read_if_due()
                    passed_s = time.monotonic() - saved_at_s
                    if world.of_main(lambda: passed_s > checkpoint_seconds):  # noqa: B023
                        unread.read()
                        saved(position)
                        saved_at_s = time.monotonic()
                unread.read()
            position.pass_number, position.step = position.pass_number + 1, 0
            catch_up(optimizer)
            finished = after_pass(position.pass_number - 1)
            if finished:
                position.pass_number = len(plan)
            saved(position)
            saved_at_s = time.monotonic()


@contextmanager
def _in_a_line(stage: str, optimizer: torch.optim.Optimizer, most_tokens: int) -> Iterator[None]:
    """Errors of a step with the setting to change."""
    try:
        yield
    except Diverged as error:
        peak = max(group["peak"] for group in optimizer.param_groups)
        row, what = error.row, str(error).split(";")[0]
        raise ConfigError(
            f"{stage} has diverged: {what} in step {row['step']} of pass {row['pass']}, "
            f"at a rate of up to {peak:g}; lower {stage}.learning_rate"
        ) from None
    except NoMemory as error:
        raise ConfigError(out_of_memory(stage, error.batches, most_tokens)) from None


def optimiser_step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    step: Sequence[Any],
    world: World = ALONE,
    most_tokens: int = 0,
) -> dict[str, float]:
    """One update on a step's documents: `update` of its `step_batches`."""
    batches = step_batches(objective, step, world=world, most_tokens=most_tokens)
    return update(objective, optimizer, batches, world)


def step_batches(
    objective: Objective, step: Sequence[Any], *, world: World = ALONE, most_tokens: int = 0
) -> list[Any]:
    """This process's micro-batches of a step.

    Args:
        objective: of the step's documents.
        step: documents.
        world: processes that each do a part of them, perhaps none.
        most_tokens: read at once; 0: as the objective has it.
    """
    if world.size > 1:
        step = [step[index] for index in world.share(objective.lengths(step))]
    own = micro_batches(objective.batches, objective.lengths, step, most_tokens)
    return objective.met(own) if isinstance(objective, Meeting) else own


def update(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Any],
    world: World = ALONE,
) -> dict[str, float]:
    """One update on Σ weight · (summed loss ÷ its count), over all micro-batches of the step.

    Args:
        objective: of the batches.
        optimizer: of its parameters.
        batches: of this process.
        world: processes whose gradients are summed.

    Raises:
        FloatingPointError: the loss or a gradient is not finite; nothing is updated.
        NoMemory: the device has none for the largest micro-batch.
    """
    with memory_for(batches):
        measured = backward(objective, optimizer, batches, world)
        [values] = read([measured], world)
        optimizer.step()
    return values


def backward(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Any],
    world: World = ALONE,
) -> Measured:
    """The gradients of `update`, without the update; arguments as there."""
    counts: dict[str, int] = {}
    for batch in batches:
        for name, count in objective.counts(batch).items():
            counts[name] = counts.get(name, 0) + count
    weights = objective.weights
    counts = world.total(counts, [name for name, weight in weights.items() if weight])
    totals: dict[str, list[Tensor]] = {name: [] for name in counts}
    optimizer.zero_grad(set_to_none=True)
    with world.together():
        for batch in batches:
            losses = objective.losses(batch)
            weighted = [
                weights[name] / max(counts[name], 1) * loss.total for name, loss in losses.items()
            ]
            torch.stack(weighted).sum().backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                totals[name].append(loss.total.detach())
        if isinstance(objective, Meeting):
            objective.return_gradients()
        world.sum_gradients_([p for group in optimizer.param_groups for p in group["params"]])
    return Measured.of(totals, counts, weights, optimizer)


def cosine(done: float, warmup: float = 0.05, floor: float = 0.05) -> float:
    """Learning rate ÷ peak after a fraction ``done``: linear warm-up, then cosine decay."""
    if done < warmup:
        return (done + 1e-3) / (warmup + 1e-3)
    fall = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
    return floor + (1 - floor) * fall


SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "constant": lambda done: 1.0}
"""Learning rate ÷ peak after a fraction of the objective's documents, by name."""


def _fraction_done(plan: Sequence[Pass], position: Position, num_steps: int) -> float:
    """Fraction of the current objective's documents already seen."""
    own = plan[position.pass_number].objective
    before = sum(p.count for p in plan[: position.pass_number] if p.objective == own)
    total = sum(p.count for p in plan if p.objective == own)
    here = plan[position.pass_number].count * position.step / max(num_steps, 1)
    return (before + here) / max(total, 1)


def _set_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(optimizer.param_groups[0]["lr"])
