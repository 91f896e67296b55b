"""Trains runs on several processes: one start of torchrun for many of them, since starts are dear.

    torchrun --nproc-per-node N several_processes.py RUN [RUN:STEPS …] [sums]

A run with STEPS is stopped after so many finetuning steps, as if it had been killed there. ``sums``
checks the sums of gradients by themselves.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import nn

from cllm4rec.config import read_config
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train
from cllm4rec.training.world import TABLE_ROWS, World, joined


class Stopped(Exception):
    """Stands for a kill after a step."""


def start(number: int, *arguments: str | Path, **options: Any) -> subprocess.Popen:
    """torchrun of so many processes on this machine."""
    torchrun = Path(sys.executable).with_name("torchrun")
    command = [torchrun, "--nproc-per-node", str(number), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, text=True, **options)


def train_on(number: int, *jobs: str | Path) -> None:
    """Train the runs, stopped where their name is followed by a number of steps."""
    process = start(number, __file__, *jobs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said


def train_here(job: str | Path) -> None:
    """Train one run in this process, or among those that it has joined."""
    path, _, steps = str(job).partition(":")
    run = RunDir(path)
    with suppress(Stopped):
        train(
            run if not steps else _Stopping(path, int(steps)), read_config(run.file("config.toml"))
        )


class _Stopping(RunDir):
    """A run whose training stops after some finetuning steps; every process logs them."""

    def __init__(self, path: str, steps: int) -> None:
        super().__init__(path)
        self.left = steps

    def log_metrics(self, **row: Any) -> None:
        super().log_metrics(**row)
        if row["stage"] == "finetune" and "step" in row:
            self.left -= 1
            if self.left == 0:
                raise Stopped


def check_sums(world: World) -> None:
    """Every process knows what each would have, and what the sum must be."""
    rows = TABLE_ROWS + 1
    shapes = {"users": (rows, 3), "items": (rows, 2), "bias": (5,), "unused": (4,), "one's": (2,)}

    def gradients(rank: int) -> dict[str, torch.Tensor | None]:
        found: dict[str, torch.Tensor | None] = {
            name: torch.full(shape, rank + 1.0) for name, shape in shapes.items()
        }
        found["users"] = torch.zeros(shapes["users"])
        found["users"][[5, 100 + rank, rows - 1]] = rank + 1.0  # 5 and the last are everyone's
        found["unused"] = None
        if rank:
            found["one's"] = None
        return found

    parameters = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    for name, gradient in gradients(world.rank).items():
        parameters[name].grad = gradient
    sent: list[int] = []
    whole = dist.all_reduce

    def counted(tensor: torch.Tensor, **options: Any) -> Any:
        sent.append(tensor.numel())
        return whole(tensor, **options)

    with mock.patch.object(dist, "all_reduce", counted):
        world.sum_gradients_(list(parameters.values()))
    for name, parameter in parameters.items():
        others = [gradients(rank)[name] for rank in range(world.size)]
        there = [each for each in others if each is not None]
        if there:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, torch.stack(there).sum(0), rtol=0, atol=0)
        else:
            assert parameter.grad is None, name
    # Which rows, twice; the items' table; the users' few rows.
    assert sum(sent) < 2 * rows + 2 * rows + 100


def _main(jobs: Sequence[str]) -> None:
    with joined() as world:
        for job in jobs:
            if job == "sums":
                check_sums(world)
            else:
                train_here(job)


if __name__ == "__main__":
    _main(sys.argv[1:])
