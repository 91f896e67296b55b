"""Trains runs on several processes: one start of torchrun for many of them, since starts are dear.

    torchrun --nproc-per-node N several_processes.py RUN [RUN:STEPS …]

A run with STEPS is stopped after so many finetuning steps, as if it had been killed there.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec.config import read_config
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train


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


def _main(jobs: Sequence[str]) -> None:
    from cllm4rec.training.world import joined

    with joined():
        for job in jobs:
            train_here(job)


if __name__ == "__main__":
    _main(sys.argv[1:])
