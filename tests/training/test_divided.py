"""What is divided and what is not; the divided training itself is in several_processes."""

from types import SimpleNamespace

import pytest
import torch

from cllm4rec.config import Request, resolve
from cllm4rec.models.items import FreeItems
from cllm4rec.stages.sharing import share
from cllm4rec.tasks import HeldOut
from cllm4rec.training import divided
from cllm4rec.training.divided import DividedItems, divide
from cllm4rec.training.lazy import LazyTable
from cllm4rec.training.rows import Rows
from cllm4rec.training.world import ALONE, World
from support import tiny_models as tiny
from support.tiny_objectives import held_out


class OwnLoss(HeldOut):
    """Stands for a task that overrides its likelihood."""


class OwnItems(FreeItems):
    """Stands for vectors that are made in another way."""


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    monkeypatch.setattr(divided, "DIVIDED_FROM", 1)
    monkeypatch.setattr(divided, "LAZY_FROM", 1)


def setup(
    task: type[HeldOut] = HeldOut, world: World | None = None, average: float = 1, **model: int
) -> SimpleNamespace:
    return SimpleNamespace(
        world=world or World(0, 2),
        task=task.__new__(task),
        config=resolve(
            Request("sets", {"model": model, "finetune": {"average": average}}),
            newest_held_out=False,
        ),
        dataset=SimpleNamespace(part=lambda _: tiny.interactions()),
    )


def divided_after(given: SimpleNamespace, name="finetune", encoder=FreeItems) -> list[bool]:
    """Whether users and items are divided, of the model and of what regularises it."""
    objective = held_out()
    embedding, other = objective.mutual.own, objective.mutual.other
    embedding.items = encoder(embedding.items.all().detach())
    before = {name: objective}
    shared = share(given, objective.model, before, name)
    found = [
        is_divided
        for each in (embedding, other)
        for is_divided in (each.user_rows is not None, isinstance(each.items, DividedItems))
    ]
    assert (shared == before) == (not any(found))
    return found


def test_large_tables_of_both_models_are_divided(monkeypatch):
    assert divided_after(setup()) == [True] * 4
    assert divided_after(setup(world=ALONE)) == [False] * 4
    monkeypatch.setattr(divided, "DIVIDED_FROM", 10**9)
    assert divided_after(setup()) == [False] * 4


def test_large_user_tables_are_lazy_but_for_an_average_of_all_rows(monkeypatch):
    def lazy_after(given: SimpleNamespace, name: str = "finetune") -> list[bool]:
        objective = held_out()
        objective.mutual.other.requires_grad_(False)
        share(given, objective.model, {name: objective}, name)
        both = objective.mutual.own, objective.mutual.other
        return [isinstance(each.users, LazyTable) for each in both]

    own_alone = [True, False]  # the other model's are not trained
    assert lazy_after(setup(average=0)) == own_alone
    assert lazy_after(setup()) == [False, False]
    assert lazy_after(setup(), name="collaborative") == own_alone, "pretraining has no average"
    assert divided_after(setup(world=ALONE, average=0)) == [True, False] * 2
    assert lazy_after(setup(world=ALONE, average=0)) == own_alone
    monkeypatch.setattr(divided, "LAZY_FROM", 10**9)
    assert divided_after(setup(world=ALONE, average=0)) == [False] * 4
    assert lazy_after(setup(average=0)) == own_alone


def test_only_the_items_of_a_known_softmax_are():
    all_but_its_items = [True, False, True, True]
    assert divided_after(setup(OwnLoss)) == all_but_its_items
    assert divided_after(setup(OwnLoss), name="collaborative") == [True] * 4
    assert divided_after(setup(), encoder=OwnItems) == all_but_its_items
    assert divided_after(setup(softmax_items=2)) == all_but_its_items


def test_a_table_is_divided_once():
    embedding = tiny.embedding(1)
    users, items = len(embedding.users), embedding.items.num_items
    for _ in range(2):  # as where two objectives train it
        divide(embedding, World(0, 2), with_items=True)
    assert len(embedding.users) == -(-users // 2)
    assert len(embedding.items.weight) == -(-items // 2)


def test_the_whole_table_is_not_there_by_accident():
    items = DividedItems(torch.randn(tiny.NUM_ITEMS, 4), World(1, 2))
    assert items.num_items == tiny.NUM_ITEMS
    with pytest.raises(RuntimeError, match="divided among processes"):
        items.all()


@pytest.mark.parametrize(("total", "size"), [(7, 2), (7, 3), (2, 5), (5, 4), (0, 2)])
def test_every_row_is_of_one_process(total, size):
    numbers = torch.arange(total)
    rows = [Rows(World(rank, size), total) for rank in range(size)]
    assert sum(each.has(numbers).int() for each in rows).eq(1).all() or total == 0
    lengths = [each.high - each.low for each in rows]
    assert sum(lengths) == total
    assert max(lengths) == rows[0].most
    as_torch = [len(part) for part in numbers.chunk(size)]  # perhaps fewer
    assert lengths[: len(as_torch)] == as_torch
