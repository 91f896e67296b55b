import numpy as np
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.factors import item_factors


def test_factors_are_those_of_the_normalised_matrix():
    train = Interactions.from_lists([[0, 1], [1, 2, 3], [3], [0, 2]], 4)
    dense = np.zeros((4, 4))
    for user, items in enumerate([[0, 1], [1, 2, 3], [3], [0, 2]]):
        for item in items:
            dense[user, item] = 1 / np.sqrt(len(items) * 2)  # every item has two users
    _, lengths, right = np.linalg.svd(dense)
    wanted = right[:2].T * np.sqrt(lengths[:2])
    found = item_factors(train, 2, seed=0)
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=1e-5)


def test_items_nobody_has_are_zero_and_twins_are_equal():
    factors = item_factors(Interactions.from_lists([[0, 1], [0, 1, 3], [3]], 5), 3, seed=0)
    assert not factors[[2, 4]].any()
    np.testing.assert_allclose(factors[0], factors[1], atol=1e-5)


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_no_interactions_no_factors(rows):
    assert item_factors(Interactions.from_lists(rows, 3), 2, seed=0).shape == (3, 0)
