"""Trains runs on several processes, in the environment that torchrun gives them.

A job is ``RUN``, ``RUN:STEPS``, ``HOW=RUN`` or ``checks``. A run with STEPS is stopped after so
many steps of training, as if it had been killed there. The tables of ``divided=RUN`` are divided,
the backbone of ``sharded=RUN`` sharded, however small; ``divided+sharded=RUN`` is both. ``checks``
are of the sums of gradients, of the divided softmax and of a sharded backbone.

The processes are forked from one that has loaded what they need (:mod:`support.forked`). What
torchrun itself does is tested where one of its processes is killed.
"""

import copy
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from torch import nn

from cllm4rec.cli import main
from cllm4rec.config import read_config
from cllm4rec.models.backbone import Backbone
from cllm4rec.models.losses import LinearCrossEntropy
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train
from cllm4rec.training import divided, rows, sharded
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.loop import Position
from cllm4rec.training.optim import adam
from cllm4rec.training.sharded_files import load_sharded
from cllm4rec.training.world import TABLE_ROWS, World, joined, own
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
    with tempfile.NamedTemporaryFile("r") as said:
        processes = _started(number, said.name, _main, [str(job) for job in jobs])
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0] * number, said.read()


def kill_one(number: int, run: Path) -> tuple[int, float, str]:
    """Kill the second of some processes that train a run with a sharded backbone, after an epoch.

    Returns:
        Its number, seconds until all had ended, and what they said.
    """
    with tempfile.NamedTemporaryFile("r") as said:
        processes = _started(number, said.name, _command, [str(run)])
        while not (run / "checkpoints" / "finetune" / "state.json").exists():
            assert all(process.exitcode is None for process in processes), said.read()
            time.sleep(0.01)
        processes[1].kill()
        killed_at_s = time.monotonic()
        for process in processes:
            process.join(60)
        assert all(process.exitcode for process in processes)
        return processes[1].pid, time.monotonic() - killed_at_s, said.read()


def _started(number: int, said: str, target: Callable[[Sequence[str]], None], given: list[str]):
    context, port = from_a_loaded_process(), free_port()
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
        mock.patch.object(sharded, "SHARDED_FROM", 1 if "sharded" in how else sharded.SHARDED_FROM),
        mock.patch.object(rows.DividedRows, "__init__", lambda *given: divide(*given)),
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
    places = [torch.arange(max(number - 1, 0)).repeat_interleave(2) for number in numbers]
    targets = [
        torch.cat([torch.randperm(num_items - 1, generator=generator)[:2] for _ in row[::2]])
        if len(row)
        else row
        for row in places
    ]
    bias[num_items - 1] = -torch.inf  # never a target
    table.requires_grad_()
    bias.requires_grad_()
    whole = [query.clone().requires_grad_() for query in queries]
    losses = [
        -(query @ table.T + bias).log_softmax(1)[row, target].sum()
        for query, row, target in zip(whole, places, targets, strict=True)
    ]
    (3.0 * torch.stack(losses).sum()).backward()

    rank = world.rank
    items = divided.DividedItems(table.detach().requires_grad_(), world)
    own_bias = bias.detach().clone().requires_grad_()
    query = queries[rank].clone().requires_grad_()
    with mock.patch.object(LinearCrossEntropy, "BLOCK_LOGITS", block):
        loss = divided.catalogue_likelihood(items, query, own_bias, places[rank], targets[rank])
    (3.0 * loss.total).backward()
    assert loss.count == len(targets[rank])
    close = torch.testing.assert_close
    close(loss.total, losses[rank].detach())
    close(query.grad, whole[rank].grad)
    close(items.table.gathered(items.weight.grad), table.grad)
    world.sum_([own_bias.grad])
    close(own_bias.grad, bias.grad)
    check_fetching(world, items.table, table.detach())


def check_fetching(world: World, table: rows.DividedRows, whole: torch.Tensor) -> None:
    """Rows of others come and their gradients go, once a step, also from who asks for none."""
    none = torch.tensor([], dtype=torch.int64)
    asked = [torch.tensor([0, 22, 0]), torch.tensor([22, 11]), *[none] * 9][world.rank]
    table.weight.grad = None
    rows.fetch([table], asked)
    with pytest.raises(RuntimeError, match="not fetched"):
        table.vectors(torch.tensor([5]))
    table.fetched.requires_grad_()
    for _ in range(2 * len(asked)):  # micro-batches, of some processes none
        vectors = table.vectors(asked)
        torch.testing.assert_close(vectors, whole[asked], rtol=0, atol=0)
        ((world.rank + 1) * vectors.sum()).backward()
    rows.return_gradients([table])
    wanted = torch.zeros_like(whole)
    wanted[0], wanted[22], wanted[11] = 6 * 2.0, 6 * 1.0 + 4 * 2.0, 4 * 2.0
    torch.testing.assert_close(table.gathered(table.weight.grad), wanted, rtol=0, atol=0)
    undivided = table.undivided()
    assert table.weight not in world.divided
    torch.testing.assert_close(undivided.detach(), whole, rtol=0, atol=0)


def check_checkpoint(world: World) -> None:
    """Of tables of which the last of four processes has no row, and of one that is whole."""
    whole = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    folder = Path(world.of_main(tempfile.mkdtemp))
    table, of_another = (rows.DividedRows(whole, world) for _ in range(2))
    items = nn.Parameter(whole.clone())
    named = {"first": {"users": table.weight, "items": items}}
    named["second"] = {"items": of_another.weight}
    optimizers = {
        name: adam(each, learning_rate=0.1, head_scale=1.0) for name, each in named.items()
    }
    for name, each in named.items():
        for parameter in each.values():
            parameter.grad = torch.ones_like(parameter)
        optimizers[name].step()
    given = table.weight.detach().clone()
    kept = {"best/users": 2 * given, "average/users": 3 * given, "best/items": whole}
    checkpoint = Checkpoint(folder / "state", "same", named, optimizers)
    checkpoint.save(Position(1, 2), {}, kept)
    world.wait()  # until the main process is done
    table.weight.data.zero_()
    found = checkpoint.resume()
    assert found is not None
    assert found[2].keys() == kept.keys()
    assert all(torch.equal(found[2][name], kept[name]) for name in kept)
    assert torch.equal(table.weight, given)
    stored = load_sharded(folder / "state", {})
    for name, times in {"parameters/first": 1, "kept/best": 2, "kept/average": 3}.items():
        assert torch.equal(stored[f"{name}/users"][table.rows.own], times * given), name
    assert all(tensor.shape == whole.shape for name, tensor in stored.items() if "step" not in name)
    world.wait()
    world.of_main(lambda: shutil.rmtree(folder))


def check_backbone(world: World, *, recompute: bool) -> None:
    """Beside the whole backbone, which every process has too."""
    from transformers import LlamaConfig, LlamaModel  # seconds: only where it is needed

    torch.manual_seed(3)
    sizes = {"hidden_size": 24, "intermediate_size": 37, "vocab_size": 1}  # no multiples of 2 and 4
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2}
    model = LlamaModel(LlamaConfig(**sizes, **heads, bos_token_id=0, eos_token_id=0))
    model.set_input_embeddings(nn.Embedding(1, 24).requires_grad_(False))
    plain = Backbone(model, trained=True, autocast=False, recompute=recompute)
    given, beside = copy.deepcopy(plain), [torch.randn(2, 5, 24) for _ in range(world.size)]
    with mock.patch.object(sharded, "SHARDED_FROM", 1):
        assert sharded.sharded(plain, World()) is None
        backbone = sharded.sharded(plain, world)
    assert isinstance(backbone, sharded.ShardedBackbone)
    idle = world.rank == world.size - 1
    # As in a training, the gradient goes on to token vectors.
    states = backbone.idle() if idle else backbone(beside[world.rank].clone().requires_grad_())
    (0 * states if idle else states.square()).sum().backward()
    torch.stack([given(each).square().sum() for each in beside[:-1]]).sum().backward()
    named, held, all_of_it = dict(given.named_parameters()), 0, 0
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            gradient, wanted = parameter.grad.full_tensor(), named[name].grad
            torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5, msg=name)
            held, all_of_it = held + own(parameter.grad).numel(), all_of_it + wanted.numel()
    assert held / all_of_it < 1 / world.size + 0.05
    lengths = torch.tensor([5, 3])
    with torch.no_grad(), backbone.whole():
        assert torch.equal(backbone.last(beside[0], lengths), given.last(beside[0], lengths))
    undone = backbone.undone()
    assert undone is plain
    for name, parameter in undone.named_parameters():
        assert torch.equal(parameter, named[name]), name


def _main(jobs: Sequence[str]) -> None:
    with joined() as world:
        for job in jobs:
            if job == "checks":
                check_sums(world)
                for block in (4_000_000, 70):  # one, and of a few rows each
                    check_softmax(world, block)
                check_checkpoint(world)
                for recompute in (False, True):
                    check_backbone(world, recompute=recompute)
            else:
                train_here(job)
