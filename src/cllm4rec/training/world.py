"""Training on several processes: rank, sum and agreement. For one process all is the identity.

torchrun starts the processes; each trains the same model on its share of every step, and gradients
are summed. gloo connects processors and carries all control, nccl sums what is on GPUs.
"""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from cllm4rec import progress
from cllm4rec.errors import ConfigError, RunError
from cllm4rec.run.processes import become, place_among_processes, place_on_machine
from cllm4rec.training.watch import Watch, store_of_all

Value = TypeVar("Value")
Amount = TypeVar("Amount", int, float)

WAITING = timedelta(days=30)
"""Longest wait for another process's work. One that ends is noticed at once, by `Watch`."""
LARGE = 2**18
"""Elements from which a tensor is summed by itself; smaller ones travel together."""
SHARDED_FROM = 2**28
"""Weights from which a backbone that is trained in full is sharded: 1 GB in float32, and 6 GB with
gradients, moments, average and best epoch, which a process would hold otherwise."""
TABLE_ROWS = 2**14
"""Rows from which a gradient is taken for a table's, of which a step reaches few rows."""


@dataclass(frozen=True, eq=False)
class World:
    """The processes that train together, as seen by one of them.

    Attributes:
        rank: of this process; 0 is the main one, which alone writes.
        size: number of processes.
        groups: torch's process group, by type of device.
        watch: notices that another process has ended.
    """

    rank: int = 0
    size: int = 1
    groups: dict[str, Any] = field(default_factory=dict)
    watch: Watch | None = None
    divided: MutableMapping[Tensor, Any] = field(default_factory=WeakIdKeyDictionary)
    """Parameters that are this process's rows of a table, with which rows those are
    (`training.rows`); their gradients are not summed."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    @property
    def is_first_of_machine(self) -> bool:
        """Whether this process fetches what its machine lacks; false for one process."""
        return self.size > 1 and place_on_machine() == 0

    @property
    def names(self) -> tuple[str | int, ...]:
        """What tells this process's draws from another's; empty for one process."""
        return () if self.size == 1 else ("rank", self.rank)

    def share(self, lengths: Sequence[int]) -> list[int]:
        """This process's part of some documents, balanced by tokens; may be empty.

        Args:
            lengths: tokens of each document; the same on every process.

        Returns:
            Indices, ascending; together the processes have each exactly once.
        """
        if self.size == 1:
            return list(range(len(lengths)))
        loads = [(0, rank) for rank in range(self.size)]
        mine = []
        for index in np.argsort(-np.asarray(lengths), kind="stable").tolist():
            load, rank = loads[0]
            heapq.heapreplace(loads, (load + int(lengths[index]), rank))
            if rank == self.rank:
                mine.append(index)
        return sorted(mine)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors over the processes, in place and bitwise the same on each.

        Raises:
            RunError: another process has ended.
        """
        if self.size == 1 or not tensors:
            return
        with self.together():
            large = [t for t in tensors if t.numel() >= LARGE and t.is_contiguous()]
            whole = {id(t) for t in large}
            small: dict[Any, list[Tensor]] = {}
            for tensor in tensors:
                if id(tensor) not in whole:
                    small.setdefault((tensor.device, tensor.dtype), []).append(tensor)
            joined = [torch.cat([t.reshape(-1) for t in some]) for some in small.values()]
            works = [
                dist.all_reduce(t, group=self.groups[t.device.type], async_op=True)
                for t in [*large, *joined]
            ]
            for work in works:
                work.wait()
            for some, flat in zip(small.values(), joined, strict=True):
                parts = torch.split(flat, [t.numel() for t in some])
                for tensor, part in zip(some, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def total(self, amounts: Mapping[str, Amount], names: Sequence[str]) -> dict[str, Amount]:
        """Sums of numbers over the processes.

        Args:
            amounts: of this process; an absent one is 0.
            names: of all; the same on every process.

        Raises:
            RunError: another process has ended.
        """
        if self.size == 1:
            return dict(amounts)
        total = torch.tensor([amounts.get(name, 0) for name in names], dtype=torch.float64)
        self.sum_([total])
        kind = type(next(iter(amounts.values()), 0))
        return dict(zip(names, map(kind, total.tolist()), strict=True))

    def sum_gradients_(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum the gradients; a process without documents has none, which counts as zero.

        Raises:
            RunError: another process has ended.
        """
        if self.size == 1:
            return
        parameters = [p for p in parameters if p not in self.divided and not is_sharded(p)]
        has_gradient = torch.tensor([float(p.grad is not None) for p in parameters])
        self.sum_([has_gradient])
        summed = [p for p, n in zip(parameters, has_gradient.tolist(), strict=True) if n]
        for parameter in summed:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._sum_rows([p.grad for p in summed if p.grad is not None])

    def _sum_rows(self, gradients: Sequence[Tensor]) -> None:
        """Sum gradients; of tables only the rows that some process has reached.

        A step reaches a few hundred rows of what may be gigabytes.
        """
        tables = [g for g in gradients if g.dim() == 2 and len(g) >= TABLE_ROWS]
        reached = [g.ne(0).any(dim=1).to(torch.int32) for g in tables]
        self.sum_(reached)
        sent: dict[int, tuple[Tensor, Tensor]] = {}
        for table, count in zip(tables, reached, strict=True):
            rows = count.nonzero().flatten()
            if 2 * len(rows) < len(table):
                sent[id(table)] = rows, table[rows]
        self.sum_([sent[id(g)][1] if id(g) in sent else g for g in gradients])
        for table in tables:
            if id(table) in sent:
                rows, values = sent[id(table)]
                table[rows] = values

    @torch.no_grad()
    def concatenated(self, own: Tensor) -> tuple[Tensor, int]:
        """Everyone's rows one below another, without gradient, and where this process's begin.

        Raises:
            RunError: another process has ended.
        """
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(own)
        self.sum_([lengths])
        start = int(lengths[: self.rank].sum())
        joined = own.new_zeros(int(lengths.sum()), *own.shape[1:])
        joined[start : start + len(own)] = own
        self.sum_([joined])
        return joined, start

    def same_(self, tensors: Iterable[Tensor]) -> None:
        """Take the main process's values: another kind of processor may have rounded otherwise.

        Raises:
            RunError: another process has ended.
        """
        if self.size > 1:
            with self.together(), torch.no_grad():
                for tensor in tensors:
                    value = tensor.detach().contiguous()
                    dist.broadcast(value, 0, group=self.groups[tensor.device.type])
                    tensor.copy_(value)

    def of_main(self, action: Callable[[], Value]) -> Value:
        """Do something in the main process alone, such as writing; the others wait.

        Args:
            action: its result must survive JSON.

        Returns:
            The result, on every process.

        Raises:
            RunError: another process has ended.
        """
        if self.size == 1:
            return action()
        text = json.dumps(action()).encode() if self.is_main else b""
        with self.together():
            size = torch.tensor([len(text)])
            dist.broadcast(size, 0, group=self.groups["cpu"])
            data = torch.empty(int(size), dtype=torch.uint8)
            if self.is_main:
                data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
            dist.broadcast(data, 0, group=self.groups["cpu"])
            value: Value = json.loads(data.numpy().tobytes())
            return value

    def mesh(self, device: torch.device) -> Any:
        """The processes as torch's device mesh of one dimension."""
        from torch.distributed.device_mesh import DeviceMesh  # late: `plan` trains nothing

        return DeviceMesh.from_group(self.groups[device.type], device.type)

    def refuse_device(self, device: torch.device) -> None:
        """Refuse a device whose sums over processes nobody carries.

        Raises:
            ConfigError: it is neither a processor nor a GPU of CUDA.
        """
        if self.size > 1 and device.type not in self.groups:
            raise ConfigError(
                f"setting device = {device.type!r}: several processes train on "
                f"{' and '.join(self.groups)} here; set one of these, or start one process"
            )

    def wait(self) -> None:
        """Wait until every process is here."""
        self.sum_([torch.zeros(1)])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Another process's end, which torch reports as a broken connection, in one line."""
        try:
            yield
        except RuntimeError as error:
            if self.watch is None or not _is_lost(error):
                raise
            raise RunError(self.watch.who_ended()) from None


ALONE = World()
"""One process."""

_here = ALONE


def here() -> World:
    """The processes that this one has joined; `ALONE` without torchrun."""
    return _here


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that torchrun has started, until the block ends on all of them.

    If the block fails, this process ends, and the others notice.

    Raises:
        InputError: the environment's rank and size do not fit together.
    """
    global _here
    rank, size = place_among_processes()
    if size == 1:
        yield ALONE
        return
    store = store_of_all(is_host=rank == 0)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=size, timeout=timedelta(minutes=10)
    )
    groups = {"cpu": dist.new_group(backend="gloo", timeout=WAITING)}
    if torch.cuda.is_available() and dist.is_nccl_available():
        groups["cuda"] = dist.new_group(backend="nccl", timeout=WAITING)
    watch = Watch(rank, size)
    become(rank, watch.is_first_to_speak)
    _here = World(rank, size, groups, watch)
    watch.start()
    with progress.quiet() if rank else _loud():
        yield _here
    watch.stop()
    dist.destroy_process_group()
    _here = ALONE


@contextmanager
def _loud() -> Iterator[None]:
    yield


def own(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor; any other tensor itself."""
    sharded: Any = tensor
    part: Tensor = sharded.to_local() if is_sharded(tensor) else tensor
    return part


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor, of which each process has a part."""
    return hasattr(tensor, "to_local")


def _is_lost(error: RuntimeError) -> bool:
    words = ("onnection", "losed by peer", "timed out", "imeout", "roken pipe", "ocket", "remote")
    return isinstance(error, dist.DistError) or any(word in str(error) for word in words)
