"""What is divided and what is not; the divided training itself is in several_processes."""

from types import SimpleNamespace

import pytest
import torch

from cllm4rec.config import Request, resolve
from cllm4rec.models.items import FreeItems
from cllm4rec.stages.sharing import share
from cllm4rec.tasks import HeldOut
from cllm4rec.training import divided
from cllm4rec.training.divided import DividedItems
from cllm4rec.training.divided_softmax import Rows
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


def setup(task: type[HeldOut] = HeldOut, world: World | None = None) -> SimpleNamespace:
    config = resolve(Request("sets", {}), newest_held_out=False)
    return SimpleNamespace(world=world or World(0, 2), task=task.__new__(task), config=config)


def whole_after(given: SimpleNamespace, others: tuple[str, ...] = (), encoder=FreeItems) -> bool:
    objective = held_out()
    model = objective.model
    model.embedding.items = encoder(model.embedding.items.all().detach())
    before = {"finetune": objective, **dict.fromkeys(others, objective)}
    return share(given, model, before, "finetune") == before


def test_what_needs_the_table_whole_keeps_it(monkeypatch):
    assert whole_after(setup(world=ALONE))
    assert whole_after(setup(), others=("content",))
    assert whole_after(setup(OwnLoss))
    assert whole_after(setup(), encoder=OwnItems)
    monkeypatch.setattr(divided, "DIVIDED_FROM", 10**9)
    assert whole_after(setup())


def test_the_whole_table_is_not_there_by_accident():
    items = DividedItems(torch.randn(tiny.NUM_ITEMS, 4), World(1, 2))
    assert items.num_items == tiny.NUM_ITEMS
    with pytest.raises(RuntimeError, match="divided among processes"):
        items.all()


@pytest.mark.parametrize(("total", "size"), [(7, 2), (7, 3), (2, 5), (0, 2)])
def test_every_row_is_of_one_process(total, size):
    numbers = torch.arange(total)
    rows = [Rows(World(rank, size), total) for rank in range(size)]
    assert sum(each.has(numbers).int() for each in rows).eq(1).all() or total == 0
    lengths = [each.high - each.low for each in rows]
    assert sum(lengths) == total
    assert max(lengths) == rows[0].most
    assert max(lengths) - min(lengths) <= 1
