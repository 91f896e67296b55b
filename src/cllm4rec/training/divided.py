"""An item table whose rows are divided among processes.

A process holds, updates and averages its own rows alone. Before a step it fetches those that the
step's documents name; the softmax over all is `divided_softmax`. Neither the table nor its gradient
is sent.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.models.items import FreeItems, ItemEncoder
from cllm4rec.models.losses import Loss, item_likelihood
from cllm4rec.training.divided_softmax import Rows, divided_likelihood
from cllm4rec.training.world import World

DIVIDED_FROM = 2**24
"""Elements from which several processes divide an item table: 64 MB in float32.

With 8 million elements two processes were already faster that way, with 1 million slower
(docs/scale.md).
"""


class DividedItems(ItemEncoder):
    """One free vector per item; each process has a range of rows.

    Args:
        weight: initial vectors of all items, the same on every process.
        world: processes that divide them.
    """

    def __init__(self, weight: Float[Tensor, "items size"], world: World) -> None:
        super().__init__()
        self.rows = Rows(world, len(weight))
        self.weight = nn.Parameter(weight[self.rows.own].detach().clone())
        world.divided.add(self.weight)
        self._numbers = torch.empty(0, dtype=torch.int64)
        self._fetched = weight.new_empty(0, weight.shape[1])
        self._whole: Tensor | None = None

    @property
    def num_items(self) -> int:
        """Items of the catalogue, whoever has them."""
        return self.rows.total

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Vectors of items that were fetched, or of any inside `whole`."""
        if self._whole is not None:
            return functional.embedding(numbers, self._whole)
        return functional.embedding(torch.searchsorted(self._numbers, numbers), self._fetched)

    @torch.no_grad()
    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Overwrite rows of the table, the same on every process."""
        own = self.rows.has(numbers)
        self.weight[numbers[own] - self.rows.low] = vectors[own]

    def all(self) -> Float[Tensor, "items size"]:
        """The whole table; inside `whole` alone.

        Raises:
            RuntimeError: it is not gathered.
        """
        if self._whole is None:
            raise RuntimeError("the item table is divided among processes; gather it with whole()")
        return self._whole

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Gather the table for the block, such as a validation; every process is in it."""
        self._whole = self.gathered(self.weight)
        try:
            yield
        finally:
            self._whole = None

    @torch.no_grad()
    def gathered(self, own: Float[Tensor, "own size"]) -> Float[Tensor, "items size"]:
        """Everyone's rows of the table, or of one with as many rows, as one."""
        whole = own.new_zeros(self.rows.total, own.shape[1])
        whole[self.rows.own] = own
        self.rows.world.sum_([whole])
        return whole

    @property
    def fetched(self) -> Float[Tensor, "fetched size"]:
        """The vectors of the step, whose gradient goes to those who have the rows."""
        return self._fetched

    @torch.no_grad()
    def fetch(self, numbers: Int[Tensor, " n"]) -> None:
        """Fetch the vectors that any process needs; their gradients return to whom they belong.

        Args:
            numbers: that this process needs; may repeat, may be empty.
        """
        self._numbers = torch.unique(self.rows.world.concatenated(torch.unique(numbers))[0])
        self._fetched = self.weight.new_zeros(len(self._numbers), self.weight.shape[1])
        own = self.rows.has(self._numbers)
        self._fetched[own] = self.weight[self._numbers[own] - self.rows.low]
        self.rows.world.sum_([self._fetched])
        hooked: Any = self._fetched.requires_grad_()
        hooked.register_post_accumulate_grad_hook(self._return)

    def idle(self, bias: Float[Tensor, " items"], dtype: torch.dtype) -> Loss:
        """The part of a process without documents in a micro-batch: its items, others' queries."""
        nothing = self._fetched.new_zeros(0, self._fetched.shape[1])
        none = self._numbers[:0]
        loss = divided_likelihood(self.rows, nothing, self.weight, bias, none, none, dtype=dtype)
        return Loss(loss.total + 0 * self._fetched.sum(), 0)  # its gradient is everyone's matter

    @torch.no_grad()
    def _return(self, fetched: Tensor) -> None:
        """Add the fetched vectors' gradients, everyone's, to the own rows'; after a backward."""
        gradient, fetched.grad = fetched.grad, None
        assert gradient is not None
        self.rows.world.sum_([gradient])
        own = self.rows.has(self._numbers)
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        self.weight.grad[self._numbers[own] - self.rows.low] += gradient[own]


def catalogue_likelihood(
    items: ItemEncoder,
    queries: Float[Tensor, "rows size"],
    bias: Float[Tensor, " candidates"],
    rows: Int[Tensor, " targets"],
    targets: Int[Tensor, " targets"],
    *,
    dtype: torch.dtype = torch.float32,
) -> Loss:
    """`item_likelihood` over the whole catalogue, divided among processes or not."""
    if isinstance(items, DividedItems):
        own = items.weight
        return divided_likelihood(items.rows, queries, own, bias, rows, targets, dtype=dtype)
    return item_likelihood(queries, items.all(), bias, rows, targets, dtype=dtype)


@dataclass(frozen=True, eq=False)
class ItemsOfSteps:
    """What processes do together with divided items, step by step.

    Attributes:
        items: of the model.
        items_of: numbers of the items in a micro-batch.
        bias: of the items in the softmax.
        dtype: compute dtype of the products there.
    """

    items: DividedItems
    items_of: Callable[[Any], Tensor]
    bias: Callable[[], Tensor]
    dtype: torch.dtype

    def fetch(self, batches: Sequence[Any]) -> None:
        """Fetch the vectors of the items in a step's micro-batches."""
        device = self.items.weight.device
        named = [self.items_of(batch).to(device) for batch in batches]
        self.items.fetch(torch.cat([torch.empty(0, dtype=torch.int64, device=device), *named]))

    def idle(self) -> Loss:
        """The part of a process without documents in a micro-batch."""
        return self.items.idle(self.bias(), self.dtype)


def undivided(items: DividedItems) -> FreeItems:
    """The whole table, on every process."""
    items.rows.world.divided.discard(items.weight)
    return FreeItems(items.gathered(items.weight))
