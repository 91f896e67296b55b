"""The user and item tables of a model, divided among processes by rows (`training.rows`).

The softmax over all items is `divided_softmax`: neither the table nor its gradient is sent.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.items import FreeItems, ItemEncoder
from cllm4rec.models.losses import Loss, item_likelihood
from cllm4rec.training.divided_softmax import divided_likelihood
from cllm4rec.training.rows import DividedRows, fetch, return_gradients
from cllm4rec.training.world import World

LAZY_FROM = 2**22
"""Elements from which a user table is lazy on one process (`training.lazy`)."""
DIVIDED_FROM = 2**24
"""Elements from which several processes divide a table: 64 MB in float32.

Item tables: with 8 million elements two processes were already faster that way, with 1 million
slower (docs/scale.md).
"""


class DividedItems(ItemEncoder):
    """One free vector per item; each process has a range of rows.

    Args:
        whole: initial vectors of all items, the same on every process.
        world: processes that divide them.
    """

    def __init__(self, whole: Float[Tensor, "items size"], world: World) -> None:
        super().__init__()
        self.table = DividedRows(whole, world)
        self.weight = self.table.weight
        self._whole: Tensor | None = None

    @property
    def num_items(self) -> int:
        """Items of the catalogue, whoever has them."""
        return self.table.rows.total

    def vectors(self, numbers: Int[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Vectors of items that were fetched, or of any inside `whole`."""
        if self._whole is not None:
            return functional.embedding(numbers, self._whole)
        return self.table.vectors(numbers)

    def replace_(self, numbers: Int[Tensor, " n"], vectors: Float[Tensor, "n size"]) -> None:
        """Overwrite rows of the table, the same on every process."""
        self.table.replace_(numbers, vectors)

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
        self._whole = self.table.gathered(self.weight)
        try:
            yield
        finally:
            self._whole = None


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
        return divided_likelihood(items.table.rows, queries, own, bias, rows, targets, dtype=dtype)
    return item_likelihood(queries, items.all(), bias, rows, targets, dtype=dtype)


@dataclass(frozen=True, eq=False)
class DividedSoftmax:
    """The softmax over divided items, in which all processes take part in every micro-batch.

    Attributes:
        items: of the model.
        bias: of the items in the softmax.
        dtype: compute dtype of the products there.
    """

    items: DividedItems
    bias: Callable[[], Tensor]
    dtype: torch.dtype

    def idle(self) -> Loss:
        """The part of a process without documents in a micro-batch: its items, others' queries."""
        own = self.items.weight
        none = torch.empty(0, dtype=torch.int64, device=own.device)
        rows, nothing = self.items.table.rows, own.new_zeros(0, own.shape[1])
        return divided_likelihood(rows, nothing, own, self.bias(), none, none, dtype=self.dtype)


class DividedTables:
    """What of two models' tables is divided, and is fetched for each step.

    Args:
        own: of the model that is trained.
        other: of the one that it is regularised towards; its vectors are fixed within a step.
    """

    def __init__(self, own: TokenEmbedding, other: TokenEmbedding | None = None) -> None:
        both = [each for each in (own, other) if each is not None]
        self.space = own.space
        self._users = [t for each in both if (t := divided_users(each)) is not None]
        self._items = [each.items.table for each in both if isinstance(each.items, DividedItems)]
        parameters = {id(own.users), *(id(each) for each in own.items.parameters())}
        self._trained = [t for t in (*self._users, *self._items) if id(t.weight) in parameters]

    def __bool__(self) -> bool:
        return bool(self._users or self._items)

    def fetch(self, tokens: Sequence[Int[Tensor, "..."]]) -> None:
        """Fetch the vectors of all users and items among some tokens; every process calls it."""
        every = torch.cat([torch.empty(0, dtype=torch.int64), *(each.flatten() for each in tokens)])
        space = self.space
        fetch(self._users, space.user_number(every[space.is_user(every)]))
        fetch(self._items, space.item_number(every[space.is_item(every)]))
        for table in self._trained:
            table.fetched.requires_grad_()

    def return_gradients(self) -> None:
        """Bring the trained vectors' gradients to those who have the rows, after a step's last."""
        return_gradients(self._trained)


def divided_users(embedding: TokenEmbedding) -> DividedRows | None:
    """The user table of a model where it is divided."""
    return embedding.user_rows if isinstance(embedding.user_rows, DividedRows) else None


def divide(
    embedding: TokenEmbedding, world: World, *, with_items: bool, lazily: bool = False
) -> None:
    """Divide the large tables of free vectors; does nothing where they are divided.

    Args:
        embedding: the same on every process.
        world: the processes; one has only a lazy user table to divide.
        with_items: whether the item table may be divided.
        lazily: whether a user's vector may be updated when it is read next.
    """
    users, alone = embedding.users, world.size == 1
    if users is not None and embedding.user_rows is None:
        lazily = lazily and users.requires_grad
        if users.numel() >= (LAZY_FROM if alone else DIVIDED_FROM) and (lazily or not alone):
            embedding.user_rows = table = DividedRows(users, world, lazily=lazily)
            embedding.users = table.weight
    if with_items and not alone and type(embedding.items) is FreeItems:
        items = embedding.items.all()
        if items.numel() >= DIVIDED_FROM:
            embedding.items = DividedItems(items, world)


def undivide(embedding: TokenEmbedding) -> None:
    """Let every process have the whole tables."""
    users = divided_users(embedding)
    if users is not None:
        embedding.users, embedding.user_rows = users.undivided(), None
    if isinstance(embedding.items, DividedItems):
        embedding.items = FreeItems(embedding.items.table.undivided().detach())


@contextmanager
def whole_tables(embedding: TokenEmbedding, users: NDArray[np.int32]) -> Iterator[None]:
    """Gather the items and fetch some users for the block; every process is in it.

    Args:
        embedding: divided or not.
        users: whose vectors are read; the same on every process.
    """
    table = divided_users(embedding)
    if table is not None:
        fetch([table], torch.from_numpy(users).long())
    if isinstance(embedding.items, DividedItems):
        with embedding.items.whole():
            yield
    else:
        yield
