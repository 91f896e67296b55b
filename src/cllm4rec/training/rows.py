"""Tables whose rows are divided among processes.

A process holds, updates and averages its own rows alone. Before a step it fetches those that the
step's documents name, and afterwards it returns their gradients: neither a table nor its gradient
is sent. One process has all rows; it divides a table only so that it need not pass over it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.training.lazy import LazyTable
from cllm4rec.training.world import World


class Rows:
    """Which rows of a table each process has: a range, equally long but for the last ones.

    They are those of torch's ``Shard(0)``, so that its distributed checkpoint can write them.

    Args:
        world: processes that divide them.
        total: rows of the table.
    """

    def __init__(self, world: World, total: int) -> None:
        self.world, self.total = world, total
        self.most = -(-total // world.size)
        self.low = min(self.most * world.rank, total)
        self.high = min(self.low + self.most, total)

    @property
    def own(self) -> slice:
        """This process's rows."""
        return slice(self.low, self.high)

    def has(self, numbers: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Which rows are this process's."""
        return (numbers >= self.low) & (numbers < self.high)

    def as_sharded(self, own: Float[Tensor, "own ..."]) -> Tensor:
        """This process's rows as its part of a DTensor."""
        # Imported late: only checkpoints of divided tables need it.
        from torch.distributed.tensor import DTensor, Shard

        sharded: Any = DTensor
        mesh, shape = self.world.mesh(own.device), torch.Size([self.total, *own.shape[1:]])
        own = own.detach().contiguous()
        return sharded.from_local(  # type: ignore[no-any-return]
            own, mesh, [Shard(0)], run_check=False, shape=shape, stride=own.stride()
        )


class DividedRows:
    """A table of which this process has a range of rows.

    Args:
        whole: the table, the same on every process; one process goes on with its memory.
        world: processes that divide it.
        lazily: whether a row is updated when it is fetched next; only fetched rows may have
            gradients then.
    """

    def __init__(
        self, whole: Float[Tensor, "total size"], world: World, *, lazily: bool = False
    ) -> None:
        self.rows = Rows(world, len(whole))
        own = whole[self.rows.own].detach()
        if world.size > 1:
            own = own.clone()
        kind = LazyTable if lazily else nn.Parameter
        self.weight = kind(own, requires_grad=whole.requires_grad)
        """This process's rows."""
        if world.size > 1:
            world.divided[self.weight] = self.rows
        self.fetched = own[:0]
        """Rows that were fetched, in the order of their numbers; those of all processes."""
        self._numbers = torch.empty(0, dtype=torch.int64, device=own.device)

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Rows that were fetched.

        Raises:
            RuntimeError: one was not (on a GPU nobody looks, since the host would wait for it).
        """
        at = torch.searchsorted(self._numbers, numbers)
        if numbers.device.type == "cpu" and not torch.isin(numbers, self._numbers).all():
            raise RuntimeError("a row of a divided table is read that was not fetched")
        return functional.embedding(at, self.fetched)

    @torch.no_grad()
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Overwrite rows of the table, the same on every process."""
        own = self.rows.has(numbers)
        self.weight[numbers[own] - self.rows.low] = vectors[own]

    @torch.no_grad()
    def gathered(self, own: Float[Tensor, "own size"]) -> Float[Tensor, "total size"]:
        """Everyone's rows of the table, or of one with as many rows, as one."""
        whole = own.new_zeros(self.rows.total, own.shape[1])
        whole[self.rows.own] = own
        self.rows.world.sum_([whole])
        return whole

    def undivided(self) -> nn.Parameter:
        """The whole table, on every process; this one is not used any more."""
        if isinstance(self.weight, LazyTable):
            self.weight.catch_up()
        self.rows.world.divided.pop(self.weight, None)
        if self.rows.world.size == 1:
            return nn.Parameter(self.weight.data, self.weight.requires_grad)
        return nn.Parameter(self.gathered(self.weight), self.weight.requires_grad)


@torch.no_grad()
def fetch(tables: Sequence[DividedRows], numbers: Int[Tensor, " n"]) -> None:
    """Fetch the rows that any process needs.

    Args:
        tables: of equally many rows.
        numbers: that this process needs; may repeat, may be empty.

    Raises:
        RunError: another process has ended.
    """
    if not tables:
        return
    rows, device = tables[0].rows, tables[0].weight.device
    needed = torch.unique(rows.world.concatenated(torch.unique(numbers.to(device)))[0])
    own = rows.has(needed)
    for table in tables:
        table._numbers = needed
        table.fetched = table.weight.new_zeros(len(needed), table.weight.shape[1])
        if isinstance(table.weight, LazyTable):
            table.weight.catch_up(needed[own] - rows.low)
        table.fetched[own] = table.weight[needed[own] - rows.low]
    rows.world.sum_([table.fetched for table in tables])


@torch.no_grad()
def return_gradients(tables: Sequence[DividedRows]) -> None:
    """Add the fetched rows' gradients, everyone's, to those of the rows' owners; all call it.

    Raises:
        RunError: another process has ended.
    """
    gradients = []
    for table in tables:
        gradient, table.fetched.grad = table.fetched.grad, None
        gradients.append(torch.zeros_like(table.fetched) if gradient is None else gradient)
    if tables:
        tables[0].rows.world.sum_(gradients)
    for table, gradient in zip(tables, gradients, strict=True):
        own = table.rows.has(table._numbers)
        reached = table._numbers[own] - table.rows.low
        if isinstance(table.weight, LazyTable):
            table.weight.reached = reached, gradient[own]
            continue
        if table.weight.grad is None:
            table.weight.grad = torch.zeros_like(table.weight)
        table.weight.grad[reached] += gradient[own]
