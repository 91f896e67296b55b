"""Adam on the rows that are read, beside Adam on the whole table."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cllm4rec.training import rows as tables
from cllm4rec.training.lazy import LazyTable, catch_up
from cllm4rec.training.loop import SCHEDULES, Position, step_batches, update
from cllm4rec.training.optim import adam, optimizer_tensors, restore_optimizer
from cllm4rec.training.rows import DividedRows
from cllm4rec.training.world import ALONE
from reference.dense_adam import dense_adam
from support.a_training import PLAN, Training

ROWS, SIZE, PEAK = 7, 5, 1e-2
Step = tuple[Tensor, Tensor]


class Table:
    """A lazy table with its optimiser."""

    def __init__(self, whole: Tensor) -> None:
        self.rows = DividedRows(whole.clone().requires_grad_(), ALONE, lazily=True)
        self.weight = self.rows.weight
        assert isinstance(self.weight, LazyTable)
        named = {"embedding.users": self.weight}
        self.optimizer = adam(named, learning_rate=PEAK, head_scale=1.0)

    def step(self, reached: Step, rate: float) -> Tensor:
        """One step as a training makes it; returns the rows as they were read."""
        numbers, gradient = reached
        self.optimizer.param_groups[0]["lr"] = rate
        if not len(numbers):  # in less time
            self.weight.reached = reached
            self.optimizer.step()
            return gradient
        tables.fetch([self.rows], numbers)
        read = self.rows.vectors(numbers)
        self.rows.fetched.requires_grad_()
        (self.rows.vectors(numbers) * gradient).sum().backward()
        tables.return_gradients([self.rows])
        self.optimizer.step()
        return read

    def now(self) -> tuple[Tensor, ...]:
        """The whole table and its moments, caught up."""
        catch_up(self.optimizer)
        return self.weight.detach().clone(), *moments(self.optimizer.state[self.weight])


def moments(state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return state["exp_avg"].clone(), state["exp_avg_sq"].clone()


def start() -> Tensor:
    return torch.randn(ROWS, SIZE, generator=torch.Generator().manual_seed(1))


def steps_of(touches: Sequence[set[int]], seed: int = 0) -> list[Step]:
    """Gradients of very different sizes for the rows of each step."""
    generator = torch.Generator().manual_seed(seed)
    steps = []
    for some in touches:
        size = 10.0 ** -(9 * torch.rand(1, generator=generator))
        gradient = size * torch.randn(len(some), SIZE, generator=generator)
        steps.append((torch.tensor(sorted(some), dtype=torch.int64), gradient))
    return steps


def rates_of(schedule: str, number: int) -> list[float]:
    return [PEAK * SCHEDULES[schedule](step / number) for step in range(number)]


rare = st.lists(
    st.tuples(st.integers(0, 250), st.sets(st.integers(0, ROWS - 1), min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)
"""Steps without any row, then rows of one step."""


@settings(max_examples=30)
@given(rare, st.sampled_from(["cosine", "constant"]))
def test_the_table_is_that_of_adam_on_all_rows(gaps, schedule):
    touches = [each for gap, some in gaps for each in (*[set()] * gap, some)]
    steps, rates = steps_of(touches), rates_of(schedule, len(touches))
    table = Table(start())
    for reached, rate in zip(steps, rates, strict=True):
        table.step(reached, rate)
    wanted, state = dense_adam(start(), steps, rates)
    torch.testing.assert_close(table.now()[0], wanted, rtol=1e-6, atol=1e-6)
    assert table.optimizer.state[table.weight]["step"] == state["step"]


def test_a_row_is_up_to_date_when_it_is_read():
    touches = [{0, 1}, *[set()] * 40, {1}, *[set()] * 200, {0, 1, 2}]
    steps, rates = steps_of(touches, seed=3), rates_of("cosine", len(touches))
    table = Table(start())
    for number, (reached, rate) in enumerate(zip(steps, rates, strict=True)):
        read = table.step(reached, rate)
        if len(read):
            wanted, _ = dense_adam(start(), steps[:number], rates[:number])
            torch.testing.assert_close(read, wanted[reached[0]], rtol=1e-6, atol=1e-6)


def test_rows_of_every_step_are_those_of_adam_to_the_last_bit():
    steps = steps_of([set(range(ROWS))] * 20)
    rates, table = rates_of("cosine", 20), Table(start())
    for reached, rate in zip(steps, rates, strict=True):
        table.step(reached, rate)
    wanted, state = dense_adam(start(), steps, rates)
    for found, each in zip(
        table.now(), (wanted, state["exp_avg"], state["exp_avg_sq"]), strict=True
    ):
        assert torch.equal(found, each)


@settings(max_examples=10)
@given(st.sets(st.integers(0, 399)), st.integers(0, 9))
def test_catching_up_at_any_time_changes_no_bit(when, seed):
    touches = [{step % 3, 4} if step % 97 < 3 else set() for step in range(400)]
    steps, rates = steps_of(touches, seed), rates_of("cosine", 400)
    once, often = Table(start()), Table(start())
    for number, (reached, rate) in enumerate(zip(steps, rates, strict=True)):
        if number in when:
            catch_up(often.optimizer)
        assert torch.equal(once.step(reached, rate), often.step(reached, rate))
    for one, other in zip(once.now(), often.now(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("begun", "ended"), [(True, True), (True, False), (False, True)])
def test_a_state_goes_on_lazily_or_whole(begun, ended):
    touches = [{step % ROWS} if step % 5 == 0 else set() for step in range(120)]
    steps, rates = steps_of(touches), rates_of("constant", 120)
    tensors, table = state_after(steps[:70], rates[:70], begun)
    if ended:
        resumed = Table(table)
        restore_optimizer(resumed.optimizer, tensors)
        for reached, rate in zip(steps[70:], rates[70:], strict=True):
            resumed.step(reached, rate)
        found = resumed.now()[0]
    else:
        found = whole_from(table, tensors, steps[70:], rates[70:])
    wanted, _ = dense_adam(start(), steps, rates)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def state_after(
    steps: list[Step], rates: list[float], lazily: bool
) -> tuple[dict[str, Tensor], Tensor]:
    if lazily:
        table = Table(start())
        for reached, rate in zip(steps, rates, strict=True):
            table.step(reached, rate)
        whole = table.now()[0]
        return optimizer_tensors(table.optimizer), whole
    whole, state = dense_adam(start(), steps, rates)
    return {f"0.{name}": each for name, each in state.items()}, whole


def whole_from(
    table: Tensor, tensors: dict[str, Tensor], steps: list[Step], rates: list[float]
) -> Tensor:
    weight = torch.nn.Parameter(table)
    optimizer = adam({"embedding.users": weight}, learning_rate=PEAK, head_scale=1.0)
    restore_optimizer(optimizer, tensors)
    for (rows, gradient), rate in zip(steps, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.zeros_like(weight)
        weight.grad[rows] = gradient
        optimizer.step()
    return weight.detach()


def seen(training: Training, monkeypatch, **how: float) -> list[dict[str, Tensor]]:
    """All that is trained, after each pass and in each checkpoint."""
    found: list[dict[str, Tensor]] = []
    save = training.checkpoint.save

    def look(*_: object) -> bool:
        found.append(training.tensors())
        return False

    monkeypatch.setattr(training.checkpoint, "save", lambda *of: (look(), save(*of)))
    training.run(Position(), after_pass=look, **how)
    return found


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9])
def test_whoever_reads_a_table_that_is_trained_sees_what_adam_makes(
    tmp_path, monkeypatch, checkpoint_seconds
):
    how = {"checkpoint_seconds": checkpoint_seconds}
    whole = seen(Training(tmp_path / "whole"), monkeypatch, **how)
    lazy = seen(Training(tmp_path / "lazy", lazily=True), monkeypatch, **how)
    assert len(whole) == len(lazy) >= 2 * len(PLAN)
    for wanted, found in zip(whole, lazy, strict=True):
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-6, msg=name)


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path):
    training = Training(tmp_path, lazily=True)
    training.run(Position())
    before, objective = training.tensors(), training.objectives["collaborative"]
    steps = objective.steps(PLAN[1])
    batches = step_batches(objective, steps[0])
    users = objective.tables._users[0]
    users.fetched.register_hook(lambda gradient: gradient / 0)  # and no other
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        update(objective, training.optimizers["collaborative"], batches)
    for name, tensor in training.tensors().items():
        assert torch.equal(tensor, before[name]), name
