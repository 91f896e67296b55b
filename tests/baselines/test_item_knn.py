import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.baselines import item_knn
from cllm4rec.baselines.item_knn import ItemKnn, _by_similarity, _nearest, _shared_users
from cllm4rec.data.interactions import Interactions
from support.strategies import histories


def slow_weights(rows: list[list[int]], items: int, shrink: float, k: int) -> np.ndarray:
    """Cosine by sets, neighbours by sorting."""
    users = [{user for user, row in enumerate(rows) if item in row} for item in range(items)]
    weights = np.zeros((items, items))
    for item in range(items):
        similar = {}
        for other in range(items):
            if other != item and users[item] & users[other]:
                length = np.sqrt(len(users[item])) * np.sqrt(len(users[other]))
                similar[other] = len(users[item] & users[other]) / (length + shrink)
        nearest = sorted(similar, key=lambda other: (-similar[other], other))[:k]
        for other in nearest:
            weights[other, item] = similar[other]
    return weights


def as_dense(weights):
    return weights if isinstance(weights, np.ndarray) else weights.toarray()


@given(histories(num_items=9, max_size=9), st.sampled_from([0, 10]), st.integers(1, 9))
def test_weights_equal_those_of_sets_and_sorting(rows, shrink, k):
    train = Interactions.from_lists(rows, 9)
    found = _nearest(_by_similarity(_shared_users(train), train, shrink), k)
    np.testing.assert_allclose(as_dense(found), slow_weights(rows, 9, shrink, k), atol=1e-6)


def test_all_neighbours_by_hand():
    # Items 0 and 1 share one user of 2 and 1; items 1 and 2 share none.
    train = Interactions.from_lists([[0, 1], [0, 2]], 3)
    weights = as_dense(_nearest(_by_similarity(_shared_users(train), train, 0), "all"))
    half = 1 / np.sqrt(2)
    np.testing.assert_allclose(weights, [[0, half, half], [half, 0, 0], [half, 0, 0]], atol=1e-7)


@pytest.mark.parametrize("share", [0, 1])
def test_dense_and_sparse_weights_score_alike(monkeypatch, share):
    rng = np.random.default_rng(0)
    train = Interactions.from_lists([rng.permutation(30)[:5] for _ in range(40)], 30)
    monkeypatch.setattr(item_knn, "DENSE_SHARE", share)
    weights = _nearest(_by_similarity(_shared_users(train), train, 10), 4)
    assert isinstance(weights, np.ndarray) == (share == 0)
    wanted = slow_weights([train.of(user).tolist() for user in range(40)], 30, 10, 4)
    np.testing.assert_allclose(as_dense(weights), wanted, atol=1e-6)


def test_the_grid_is_the_anchors():
    grid = ItemKnn().grid(5)
    assert len(grid) == 6
    assert {(point["k"], point["shrink"]) for point in grid} == {
        (k, shrink) for k in (100, 400, "all") for shrink in (0, 10)
    }


def test_no_interactions_no_neighbours():
    train = Interactions.from_lists([[], []], 3)
    assert not as_dense(_nearest(_by_similarity(_shared_users(train), train, 0), 2)).any()
