import pytest

from benchmarks.speed import stopwatch
from benchmarks.speed.stopwatch import Stopwatch, Timed


class Clock:
    now_s = 0.0

    def work(self, seconds: float) -> None:
        self.now_s += seconds


class Machine:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def outer(self) -> str:
        self.clock.work(2)
        self.inner()
        self.clock.work(3)
        return "done"

    def inner(self) -> None:
        self.clock.work(10)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock.now_s)
    return clock


def test_a_second_counts_once_for_the_innermost_part(clock):
    machine, watch = Machine(clock), Stopwatch()
    with watch.running([Timed(machine, "outer", "a"), Timed(Machine, "inner", "b")]):
        clock.work(1)
        assert machine.outer() == "done"
    assert watch.seconds == {"other": 1, "a": 5, "b": 10}
    assert watch.shares() == {"other": 1 / 16, "a": 5 / 16, "b": 10 / 16}


def test_functions_come_back_as_they_were_whatever_happens(clock):
    machine = Machine(clock)
    before, watch = Machine.inner, Stopwatch()
    with (
        pytest.raises(RuntimeError),
        watch.running([Timed(machine, "outer", "a"), Timed(Machine, "inner", "b")]),
    ):
        raise RuntimeError
    assert Machine.inner is before
    assert "outer" not in vars(machine)


def test_what_does_not_exist_is_left_out(clock):
    watch = Stopwatch()
    with watch.running([Timed(Machine, "nothing", "a")]):
        clock.work(1)
    assert watch.seconds == {"other": 1}
