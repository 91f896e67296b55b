"""Trains runs on several processes, in the environment that torchrun gives them.

A job is ``RUN``, ``RUN:STEPS``, ``divided=RUN`` or ``checks``. A run with STEPS is stopped after so
many finetuning steps, as if it had been killed there. The item table of ``divided=RUN`` is divided,
however small. ``checks`` are of the sums of gradients and of the divided softmax by themselves.

The processes are forked from one that has loaded what they need (:mod:`support.forked`). What
torchrun itself does is tested where one of its processes is killed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import nn

from cllm4rec.config import read_config
from cllm4rec.models.losses import LinearCrossEntropy
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train
from cllm4rec.training import divided
from cllm4rec.training.world import TABLE_ROWS, World, joined
from support.forked import from_a_loaded_process, say_into
from support.pages import free_port


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
    context = from_a_loaded_process()
    with tempfile.NamedTemporaryFile("r") as said:
        given = number, free_port(), said.name, [str(job) for job in jobs]
        processes = [context.Process(target=_rank, args=(rank, *given)) for rank in range(number)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0] * number, said.read()


def _rank(rank: int, number: int, port: int, said: str, jobs: Sequence[str]) -> None:
    """One of the processes; what they say comes into one file."""
    say_into(said)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    _main(jobs)


def train_here(job: str | Path) -> None:
    """Train one run in this process, or among those that it has joined."""
    is_divided = str(job).startswith("divided=")
    path, _, steps = str(job).removeprefix("divided=").partition(":")
    run = RunDir(path) if not steps else _Stopping(path, int(steps))
    least = 1 if is_divided else divided.DIVIDED_FROM
    fetch = mock.Mock(side_effect=divided.DividedItems.fetch)
    with (
        suppress(Stopped),
        mock.patch.object(divided, "DIVIDED_FROM", least),
        mock.patch.object(divided.DividedItems, "fetch", lambda *given: fetch(*given)),
    ):
        train(run, read_config(run.file("config.toml")))
    assert fetch.called == is_divided


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


def check_softmax(world: World, block: int) -> None:
    """Beside the plain softmax of everyone's queries, which every process knows too."""
    generator = torch.Generator().manual_seed(7)
    size, num_items, numbers = 5, 23, [0, 3, 1, 6, 2, 4][: world.size]

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    table, bias = drawn(num_items, size), drawn(num_items)
    queries = [drawn(number, size) for number in numbers]
    # Two targets for each query, but none for the last one.
    rows = [torch.arange(max(number - 1, 0)).repeat_interleave(2) for number in numbers]
    targets = [
        torch.cat([torch.randperm(num_items - 1, generator=generator)[:2] for _ in row[::2]])
        if len(row)
        else row
        for row in rows
    ]
    bias[num_items - 1] = -torch.inf  # never a target
    table.requires_grad_()
    bias.requires_grad_()
    whole = [query.clone().requires_grad_() for query in queries]
    losses = [
        -(query @ table.T + bias).log_softmax(1)[row, target].sum()
        for query, row, target in zip(whole, rows, targets, strict=True)
    ]
    (3.0 * torch.stack(losses).sum()).backward()

    rank = world.rank
    items = divided.DividedItems(table.detach(), world)
    own_bias = bias.detach().clone().requires_grad_()
    query = queries[rank].clone().requires_grad_()
    with mock.patch.object(LinearCrossEntropy, "BLOCK_LOGITS", block):
        loss = divided.catalogue_likelihood(items, query, own_bias, rows[rank], targets[rank])
    (3.0 * loss.total).backward()
    assert loss.count == len(targets[rank])
    close = torch.testing.assert_close
    close(loss.total, losses[rank].detach())
    close(query.grad, whole[rank].grad)
    close(items.gathered(items.weight.grad), table.grad)
    world.sum_([own_bias.grad])
    close(own_bias.grad, bias.grad)
    check_fetching(world, items, table.detach())


def check_fetching(world: World, items: divided.DividedItems, table: torch.Tensor) -> None:
    """Rows of others come and their gradients go, also from who asks for none."""
    asked = [torch.tensor([0, 22, 0]), torch.tensor([22, 11]), *[torch.tensor([], dtype=int)] * 9]
    items.weight.grad = None
    items.fetch(asked[world.rank])
    vectors = items.vectors(asked[world.rank])
    torch.testing.assert_close(vectors, table[asked[world.rank]], rtol=0, atol=0)
    ((world.rank + 1) * vectors.sum() + 0 * items._fetched.sum()).backward()
    wanted = torch.zeros_like(table)
    wanted[0], wanted[22], wanted[11] = 2.0, 1.0 + 2.0, 2.0
    torch.testing.assert_close(items.gathered(items.weight.grad), wanted, rtol=0, atol=0)
    world.divided.discard(items.weight)


def _main(jobs: Sequence[str]) -> None:
    with joined() as world:
        for job in jobs:
            if job == "checks":
                check_sums(world)
                for block in (4_000_000, 70):  # one, and of a few rows each
                    check_softmax(world, block)
            else:
                train_here(job)
