"""Times finetuning steps, in one process or in several that torchrun has started."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.parts import Parts, wake
from cllm4rec.data.dataset import Dataset
from cllm4rec.stages.epochs import finetuning_optimizer
from cllm4rec.stages.finetune import finetuning_objectives
from cllm4rec.stages.sharing import share
from cllm4rec.training import divided, sharded
from cllm4rec.training.lazy import LASTS, LazyTable
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.world import World, joined, own

WARM_UP = 2
"""Steps before those that are timed."""


def measure(
    world: World,
    folders: tuple[Path, Path],
    depth: int,
    profile: Any,
    steps: int,
    overrides: list[str],
) -> dict[str, float]:
    """Users per second, and per second of the busiest process's processor time; peak memory.

    Args:
        world: the processes.
        folders: prepared data, and where texts are written, which every process sees.
        depth: layers kept.
        profile: of `benchmarks.speed.settings`.
        steps: that are timed.
        overrides: settings.
    """
    prepared, scratch = folders
    parts = Parts(Dataset.open(prepared), depth, overrides, scratch)
    setup = parts.setup(profile)
    model, objectives = finetuning_objectives(setup, parts.initial(profile))
    wake(model)
    objective = share(setup, model, objectives, "finetune")["finetune"]
    interactions = len(setup.dataset.part("train").items)
    optimizer = finetuning_optimizer(setup.config.finetune, objective.parameters(), interactions)
    planned = objective.steps(Pass("finetune", 0, len(objective.corpus)))
    for step in planned[:WARM_UP]:
        optimiser_step(objective, optimizer, step, world)
    _read_all_before(optimizer)
    timed = [planned[index % len(planned)] for index in range(WARM_UP, WARM_UP + steps)]
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is the start's
    world.wait()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for step in timed:
        optimiser_step(objective, optimizer, step, world)
    seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    everyones = torch.zeros(3, world.size)
    everyones[:, world.rank] = torch.tensor([cpu_s, _peak_mb(), _state_mb(optimizer)])
    world.sum_([everyones])
    most = everyones.max(dim=1).values.tolist()
    users = sum(map(len, timed))
    return {
        "users_per_s": users / seconds,
        "users_per_cpu_s": users / most[0],
        "peak_mb": most[1],
        "state_mb": most[2],
        "load": os.getloadavg()[0],
    }


def _read_all_before(optimizer: torch.optim.Optimizer) -> None:
    """Let every row of lazy tables miss as many steps as it can, as in a later epoch."""
    optimizer.zero_grad()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for table in (p for p in parameters if isinstance(p, LazyTable)):
        for rows in (torch.arange(len(table)), *[torch.empty(0, dtype=torch.int64)] * LASTS):
            table.reached = rows, torch.full((len(rows), table.shape[1]), 1e-6)
            table.update()


def _state_mb(optimizer: torch.optim.Optimizer) -> float:
    """Parameters and moments that this process holds."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = [each for p in parameters for each in optimizer.state[p].values()]
    return sum(own(each).nbytes for each in (*parameters, *moments)) / 1e6


def _peak_mb() -> float:
    """Most memory since the peak was forgotten."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def main(
    result: str, how: str, prepared: str, depth: str, profile: str, steps: str, *given: str
) -> None:
    """Measure; the main process writes the result."""
    divided.DIVIDED_FROM = divided.LAZY_FROM = 1 if "divided" in how else 2**60
    sharded.SHARDED_FROM = 1 if "sharded" in how else 2**60
    with joined() as world:
        folders = Path(prepared), Path(result).parent
        found = measure(world, folders, int(depth), profile, int(steps), list(given))
        if world.is_main:
            Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
