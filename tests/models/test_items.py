import numpy as np
import pytest
import torch

from cllm4rec.models.items import FreeItems, ReadItems

WEIGHT = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))

TEXTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_vectors_are_rows_of_the_table_and_the_table_is_a_copy():
    given = WEIGHT.clone()
    items = FreeItems(given)
    given.zero_()
    assert items.num_items == 6
    assert items.all().tolist() == WEIGHT.tolist()
    assert items.vectors(torch.tensor([4, 0, 4])).tolist() == WEIGHT[[4, 0, 4]].tolist()
    assert items.vectors(torch.tensor([], dtype=torch.long)).shape == (0, 4)


def test_the_gradient_counts_every_repeat():
    items = FreeItems(WEIGHT)
    items.vectors(torch.tensor([4, 0, 4])).sum().backward()
    assert items.weight.grad.sum(1).tolist() == [4, 0, 0, 0, 8, 0]


def test_some_items_can_begin_elsewhere():
    items = FreeItems(WEIGHT)
    items.replace_(torch.tensor([5, 1]), torch.tensor([[1.0] * 4, [2.0] * 4]))
    wanted = WEIGHT.clone()
    wanted[5], wanted[1] = 1, 2
    assert items.all().tolist() == wanted.tolist()
    assert items.weight.requires_grad


def test_the_gradient_is_bitwise_the_same_whenever_threads_arrive(two_threads):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randint(0, 5, (20_000,), generator=generator)
    above = torch.randn(len(numbers), 32, generator=generator)
    gradients = []
    for _ in range(20):
        items = FreeItems(torch.zeros(5, 32))
        (items.vectors(numbers) * above).sum().backward()
        gradients.append(items.weight.grad)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def read_items() -> ReadItems:
    items = ReadItems(WEIGHT, TEXTS)
    with torch.no_grad():
        items.map.copy_(torch.randn(3, 4, generator=torch.Generator().manual_seed(2)))
    return items


def test_items_that_are_read_begin_where_they_are_put():
    items = ReadItems(WEIGHT, TEXTS)
    assert torch.equal(items.all(), WEIGHT)
    assert set(items.state_dict()) == {"weight", "map"}


def test_an_item_that_is_read_is_its_own_part_and_its_texts():
    items = read_items()
    mapping = items.map.tolist()
    wanted = [
        [own + sum(TEXTS[row, k].item() * mapping[k][at] for k in range(3)) for at, own in line]
        for row, line in ((row, enumerate(WEIGHT[row].tolist())) for row in range(6))
    ]
    torch.testing.assert_close(items.all(), torch.tensor(wanted))
    torch.testing.assert_close(items.vectors(torch.tensor([4, 0])), items.all()[[4, 0]])
    table = items.as_table()
    assert type(table) is FreeItems
    assert torch.equal(table.all(), items.all())


def test_a_fitted_map_is_a_ridge_regression_on_the_vectors_given():
    items = ReadItems(WEIGHT, TEXTS, fitted=True)
    root = ReadItems.RIDGE**0.5
    rows = np.concatenate([TEXTS.numpy(), root * np.eye(3)])
    wanted = np.linalg.lstsq(rows, np.concatenate([WEIGHT.numpy(), np.zeros((3, 4))]), rcond=None)
    np.testing.assert_allclose(items.map.detach().numpy(), wanted[0], atol=1e-5)
    torch.testing.assert_close(items.all(), WEIGHT)
    torch.testing.assert_close(items.rest(torch.tensor([5, 0])), items.weight[[5, 0]])
    assert items.weight.abs().sum() < WEIGHT.abs().sum()


def test_a_step_on_one_item_moves_those_with_texts_like_its_own():
    items = ReadItems(WEIGHT, torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]))
    optimizer = torch.optim.SGD(items.parameters(), lr=0.1)
    items.vectors(torch.tensor([0])).sum().backward()
    optimizer.step()
    moved = (items.all() - WEIGHT).sum(dim=1)
    torch.testing.assert_close(moved, torch.tensor([-0.8, -0.4, 0, 0, 0, 0]))


def test_items_that_are_read_can_begin_elsewhere():
    items, given = read_items(), torch.tensor([[1.0] * 4, [2.0] * 4])
    items.replace_(torch.tensor([5, 1]), given)
    torch.testing.assert_close(items.all()[[5, 1]], given)
