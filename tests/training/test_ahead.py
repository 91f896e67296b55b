"""Batches that another thread makes are those that the loop would make, and so is the training."""

import threading

import pytest
import torch

from cllm4rec.training import readings
from cllm4rec.training.ahead import made
from cllm4rec.training.loop import Pass, Position, fit
from cllm4rec.training.meeting import can_go_ahead
from cllm4rec.training.optim import adam
from support import tiny_objectives
from support.a_training import Training


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("batches")]


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_every_step_has_its_batches_in_order(ahead, number):
    makers = set()

    def make(step: int) -> list[int]:
        makers.add(threading.current_thread().name)
        return [step, step]

    with made(make, range(number), ahead=ahead) as batches:
        assert list(batches) == [[step, step] for step in range(number)]
    assert threads() == []
    assert {name.startswith("batches") for name in makers} <= {ahead}


def test_the_next_steps_are_made_while_the_caller_has_these():
    began = [threading.Event() for _ in range(3)]

    def make(step: int) -> list[int]:
        began[step].set()
        return [step]

    with made(make, range(3), ahead=True) as batches:
        assert next(batches) == [0]
        assert began[1].wait(10), "nobody has asked for them"
        assert not began[2].is_set(), "no further than one step ahead"


def test_an_error_is_raised_where_its_step_is_asked_for():
    def make(step: int) -> list[int]:
        if step == 1:
            raise ValueError("step 1")
        return [step]

    with made(make, range(3), ahead=True) as batches:
        assert next(batches) == [0]
        with pytest.raises(ValueError, match="step 1"):
            next(batches)
    assert threads() == []


def test_no_thread_is_left_where_the_caller_fails():
    def fail() -> None:
        with made(lambda step: [step], range(3), ahead=True) as batches:
            next(batches)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert threads() == []


def trained(name: str, *, ahead: bool, stop: int | None = None) -> tuple[dict, list]:
    """Parameters and losses after two passes, interrupted after some steps."""
    objective = tiny_objectives.every("cpu")[name]
    optimizers = {name: adam(objective.parameters(), learning_rate=1e-2, head_scale=1.0)}
    size, position, rows = len(objective.corpus), Position(), []
    plan = [Pass(name, 0, size), Pass(name, size, size)]

    class Interrupted(Exception):
        pass

    def log(**row) -> None:
        rows.append((row["pass"], row["step"], row["loss"]))
        if len(rows) == stop:
            raise Interrupted

    def go() -> None:
        fit(
            plan,
            {name: objective},
            optimizers,
            stage="finetune",
            position=position,
            log=log,
            after_pass=lambda _: False,
            checkpoint=lambda _: None,
            ahead=ahead,
        )

    try:
        go()
    except Interrupted:
        assert threads() == []
        go()
    return {key: each.detach().clone() for key, each in objective.parameters().items()}, rows


@pytest.mark.parametrize("name", ["held-out", "next-item"])
def test_a_training_is_bitwise_the_same_with_batches_made_ahead(name, monkeypatch):
    plain, rows = trained(name, ahead=False)
    for stop in (None, 1):
        monkeypatch.setattr(readings, "SECONDS", 0.0 if stop else 60.0)  # after each step, or late
        ahead, found = trained(name, ahead=True, stop=stop)
        assert found == rows
        for key, value in plain.items():
            assert torch.equal(ahead[key], value), key


@pytest.mark.parametrize(
    ("device", "shared", "can"),
    [("meta", False, True), ("meta", True, False), ("cpu", False, False)],
)
def test_batches_are_made_ahead_for_a_device_where_nothing_is_shared(tmp_path, device, shared, can):
    objectives = Training(tmp_path, lazily=shared).objectives.values()
    assert can_go_ahead(torch.device(device), objectives) == can
