"""Rounds in which every workload has one turn, and the rows that come of them."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.speed.clock import seconds_of
from benchmarks.speed.machine import Peak, growth_mb
from benchmarks.speed.stopwatch import Stopwatch
from benchmarks.speed.workloads import Workload
from cllm4rec import progress

Errors = Mapping[str, float]

LEAST_ROUNDS = 3
"""Timed rounds, however long they take."""
RUNS = 1 + LEAST_ROUNDS
"""Runs of a workload after it has been built and watched, at least."""
MOST_ROUNDS = 25
"""Timed rounds, however short they are."""
TOLERANCE = {
    torch.float32: {"loss": 1e-4, "gradient": 1e-3, "scores": 1e-3},
    torch.bfloat16: {"loss": 5e-3, "gradient": 0.2, "scores": 0.05},
}
"""Largest relative distance from the slow path, by the backbone's arithmetic.

A gradient's rounding grows with depth: the library's own bfloat16 layers are at 0.14 with eight.
That alone would let an error pass, so half precision is checked in float32 too."""


def within(errors: Errors, exact: Errors, dtype: torch.dtype) -> bool:
    """Whether distances from the slow path are rounding alone; NaN is not.

    Args:
        errors: by name, in ``dtype``.
        exact: the same in float32, where ``errors`` are not.
        dtype: compute dtype.
    """
    both = [(errors, TOLERANCE[dtype]), (exact, TOLERANCE[torch.float32])]
    return all(found[name] <= most[name] for found, most in both for name in found)


@dataclass
class Measured:
    """One workload's measurements.

    Attributes:
        workload: what was measured.
        errors: its distances from the slow path, by name.
        exact: the same in float32, where ``errors`` are not.
        seconds: of each timed run.
        busy: of each timed run, processor seconds by second of all threads; below one on a machine
            that is shared, or where threads wait.
        stopwatch: of the instrumented runs.
        working_mb: how far a run rises above what is kept between runs.
    """

    workload: Workload
    errors: dict[str, float]
    exact: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    working_mb: float = 0.0

    def wrong(self, dtype: torch.dtype) -> bool:
        """Whether it computes something else than the slow path; NaN is wrong too."""
        return not within(self.errors, self.exact, dtype)

    def time(self) -> None:
        """Run it once more, by the clock."""
        began_s = time.process_time()
        seconds = seconds_of(self.workload.run)
        self.seconds.append(seconds)
        worked_s = time.process_time() - began_s
        self.busy.append(worked_s / (seconds * torch.get_num_threads()))

    def row(self, peak_gflops: float, dtype: torch.dtype) -> dict[str, Any]:
        """Its row of the table; rates are over real tokens, padding not counted."""
        amount, seconds = self.workload.amount, statistics.median(self.seconds)
        gflops = 1e-9 * amount.cost.flops
        kept = kept_mb(self.workload)
        return {
            "stage": self.workload.stage,
            "depth": self.workload.depth,
            "users_per_s": amount.users / seconds,
            "tokens_per_s": amount.tokens / seconds,
            "ms": 1e3 * seconds,
            "ms_low": 1e3 * min(self.seconds),
            "ms_high": 1e3 * max(self.seconds),
            "busy": statistics.median(self.busy),
            "runs": len(self.seconds),
            "gflops": gflops,
            "gflops_per_s": gflops / seconds,
            "mfu": gflops / seconds / peak_gflops,
            "flops_per_token": amount.cost.flops / amount.tokens,
            "flops_per_byte": amount.cost.intensity,
            "users": amount.users,
            "tokens": amount.tokens,
            "padding": 1 - amount.tokens / amount.padded,
            "peak_mb": kept + self.working_mb,
            "kept_mb": kept,
            "shares": self.stopwatch.shares(),
            "errors": {**self.errors, **{f"exact_{n}": e for n, e in self.exact.items()}},
            "check": "WRONG" if self.wrong(dtype) else "equal",
        }


def kept_mb(workload: Workload) -> float:
    """Memory of what is kept between two runs, in MB (10⁶ bytes)."""
    kept = {tensor.data_ptr(): tensor.nbytes for tensor in workload.tensors()}
    return sum(kept.values()) / 1e6


def watch(measured: Sequence[Measured]) -> None:
    """How far memory rises in a run of each."""
    for one in measured:
        one.working_mb = growth_mb(one.workload.run)


def measure(measured: Sequence[Measured], peak: Peak, seconds: float) -> int:
    """Watch where the time goes in a first run; then a turn for everything in each round.

    Args:
        measured: what to measure; filled.
        peak: has its turn in each round as well.
        seconds: when they are over, no further round begins.

    Returns:
        Timed rounds.
    """
    started_s = time.monotonic()
    turns = RUNS * len(measured)
    with progress.task("Measuring", total=turns, unit="run") as task:

        def done() -> None:
            task.total = max(turns, task.done + 1)
            task.advance()

        for one in measured:
            with one.stopwatch.running(one.workload.timed()):
                one.workload.run()
            done()
        rounds, round_s = 0, 0.0
        while rounds < LEAST_ROUNDS or (
            rounds < MOST_ROUNDS and time.monotonic() - started_s + round_s < seconds
        ):
            began_s = time.monotonic()
            peak.turn()
            for one in measured:
                one.time()
                done()
            rounds, round_s = rounds + 1, time.monotonic() - began_s
    return rounds
