"""Trains runs on several processes, in the environment that torchrun gives them.

A job is ``RUN``, ``RUN:STEPS``, ``HOW=RUN`` or ``checks``. A run with STEPS is stopped after so
many steps of training, as if it had been killed there. The tables of ``divided=RUN`` are divided,
the backbone of ``sharded=RUN`` sharded, however small; ``divided+sharded=RUN`` is both. ``checks``
are those of `support.checks_of_processes`.

The processes are forked from one that has loaded what they need (:mod:`support.forked`). What
torchrun itself does is tested where one of its processes is killed.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from cllm4rec.cli import main
from cllm4rec.config import read_config
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train
from cllm4rec.training import divided, rows, sharded
from cllm4rec.training.world import joined
from support.checks_of_processes import check_all
from support.forked import from_a_loaded_process, say_into
from support.ports import ReservedPort


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
    with tempfile.NamedTemporaryFile("r") as said, ReservedPort() as port:
        processes = _started(number, port, said.name, _main, [str(job) for job in jobs])
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0] * number, said.read()


def kill_one(number: int, run: Path) -> tuple[int, float, str]:
    """Kill the second of some processes that train a run with a sharded backbone, after an epoch.

    Returns:
        Its number, seconds until all had ended, and what they said.
    """
    with tempfile.NamedTemporaryFile("r") as said, ReservedPort() as port:
        processes = _started(number, port, said.name, _command, [str(run)])
        while not (run / "checkpoints" / "finetune" / "state.json").exists():
            assert all(process.exitcode is None for process in processes), said.read()
            time.sleep(0.01)
        processes[1].kill()
        killed_at_s = time.monotonic()
        for process in processes:
            process.join(60)
        assert all(process.exitcode for process in processes)
        return processes[1].pid, time.monotonic() - killed_at_s, said.read()


def _started(
    number: int, port: int, said: str, target: Callable[[Sequence[str]], None], given: list[str]
):
    context = from_a_loaded_process()
    arguments = number, port, said, target, given
    processes = [context.Process(target=_rank, args=(rank, *arguments)) for rank in range(number)]
    for process in processes:
        process.start()
    return processes


def _command(given: Sequence[str]) -> None:
    """The command by which a user trains."""
    sys.argv = ["cllm4rec", "train", "--run", *given]
    with mock.patch.object(sharded, "SHARDED_FROM", 1):
        main(sys.argv[1:])


def _rank(
    rank: int,
    number: int,
    port: int,
    said: str,
    target: Callable[[Sequence[str]], None],
    given: list[str],
) -> None:
    """One of the processes; what they say comes into one file."""
    say_into(said)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    target(given)


def train_here(job: str | Path) -> None:
    """Train one run in this process, or among those that it has joined."""
    how, _, which = str(job).rpartition("=")
    path, _, steps = which.partition(":")
    run = RunDir(path) if not steps else _Stopping(path, int(steps))
    divide = mock.Mock(side_effect=rows.DividedRows.__init__, return_value=None)
    gather = mock.Mock(side_effect=sharded.ShardedBackbone.whole)
    with (
        suppress(Stopped),
        mock.patch.object(divided, "DIVIDED_FROM", 1 if "divided" in how else divided.DIVIDED_FROM),
        mock.patch.object(divided, "LAZY_FROM", 1 if "divided" in how else divided.LAZY_FROM),
        mock.patch.object(sharded, "SHARDED_FROM", 1 if "sharded" in how else sharded.SHARDED_FROM),
        mock.patch.object(
            rows.DividedRows, "__init__", lambda *given, **how: divide(*given, **how)
        ),
        mock.patch.object(sharded.ShardedBackbone, "whole", lambda *given: gather(*given)),
    ):
        train(run, read_config(run.file("config.toml")))
    assert (divide.called, gather.called) == ("divided" in how, "sharded" in how)


class _Stopping(RunDir):
    """A run whose training stops after some steps; every process logs them."""

    def __init__(self, path: str, steps: int) -> None:
        super().__init__(path)
        self.left = steps

    def log_metrics(self, **row: Any) -> None:
        super().log_metrics(**row)
        if "step" in row:
            self.left -= 1
            if self.left == 0:
                raise Stopped


def _main(jobs: Sequence[str]) -> None:
    with joined() as world:
        for job in jobs:
            if job == "checks":
                check_all(world)
            else:
                train_here(job)
