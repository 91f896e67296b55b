import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.linear import ease
from cllm4rec.linear.ease import (
    add_texts,
    gram_matrix,
    inverse_gram,
    weights_of,
)
from support.ease import ease_weights
from support.strategies import histories


def column_by_column(interactions: np.ndarray, l2: float) -> np.ndarray:
    """Each item's ridge regression on all the others, which is what the closed form solves."""
    items = interactions.shape[1]
    weights = np.zeros((items, items))
    for item in range(items):
        others = [other for other in range(items) if other != item]
        inputs, target = interactions[:, others], interactions[:, item]
        gram = inputs.T @ inputs + l2 * np.eye(items - 1)
        weights[others, item] = np.linalg.solve(gram, inputs.T @ target)
    return weights


@given(histories(num_items=8, max_size=8), st.sampled_from([0.5, 3.0, 100.0]))
def test_weights_are_each_items_ridge_regression_on_the_others(rows, l2):
    train = Interactions.from_lists(rows, 8)
    wanted = column_by_column(train.matrix().toarray().astype(np.float64), l2)
    found = ease_weights(train, l2=l2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_texts_are_further_rows_of_the_regression():
    train = Interactions.from_lists([[0, 1, 2], [1, 3], [2, 3, 4], [0]], 5)
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    stacked = np.concatenate([train.matrix().toarray(), np.sqrt(7.0) * vectors.T])
    wanted = column_by_column(stacked.astype(np.float64), 2.0)
    found = ease_weights(train, l2=2.0, text_vectors=vectors, alpha=7.0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(found - ease_weights(train, l2=2.0)).max() > 0.05


@pytest.mark.parametrize(("columns", "alpha"), [(0, 5.0), (3, 0.0)])
def test_no_texts_or_no_weight_is_plain_ease(columns, alpha):
    train = Interactions.from_lists([[0, 1], [1, 2]], 3)
    vectors = np.ones((3, columns), dtype=np.float32)
    plain = ease_weights(train, l2=1.0)
    found = ease_weights(train, l2=1.0, text_vectors=vectors, alpha=alpha)
    assert found.tobytes() == plain.tobytes()


def test_two_items_by_hand():
    # Both have two users, one of them shared: regression of one on the other is 1 / (2 + λ).
    train = Interactions.from_lists([[0, 1], [0], [1]], 2)
    assert ease_weights(train, l2=2.0).tolist() == [[0, 0.25], [0.25, 0]]


def test_the_inverse_is_one_across_blocks_of_the_mirror():
    rng = np.random.default_rng(0)
    gram = gram_matrix(Interactions.from_lists([rng.permutation(600)[:9] for _ in range(50)], 600))
    before = gram.copy()
    inverse = inverse_gram(gram, 3.0)
    np.testing.assert_allclose(inverse @ (gram + 3.0 * np.eye(600)), np.eye(600), atol=1e-9)
    assert (inverse == inverse.T).all()
    assert (gram == before).all()


def test_float32_of_large_catalogues_agrees_with_float64(monkeypatch):
    rng = np.random.default_rng(0)
    train = Interactions.from_lists([rng.permutation(60)[:9] for _ in range(99)], 60)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    wanted = ease_weights(train, l2=5.0, text_vectors=vectors, alpha=3.0)
    monkeypatch.setattr(ease, "FLOAT64_ITEMS", 59)
    assert gram_matrix(train).dtype == np.float32
    found = ease_weights(train, l2=5.0, text_vectors=vectors, alpha=3.0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_grids_shortcuts_give_what_one_call_gives():
    rng = np.random.default_rng(0)
    train = Interactions.from_lists([rng.permutation(20)[:5] for _ in range(30)], 20)
    vectors = rng.normal(size=(20, 4)).astype(np.float32)
    inverse = inverse_gram(gram_matrix(train), 5.0)
    for alpha in (1.0, 10.0):
        wanted = ease_weights(train, l2=5.0, text_vectors=vectors, alpha=alpha)
        assert weights_of(add_texts(inverse, vectors, alpha)).tobytes() == wanted.tobytes()


def test_without_regularisation_there_is_no_inverse():
    with pytest.raises(ValueError, match="l2 is 0"):
        inverse_gram(np.eye(2), 0)


def test_a_catalogue_too_large_for_a_square_matrix_is_refused_before_it_is_made():
    with pytest.raises(InputError, match="26,000 items"):
        gram_matrix(Interactions.from_lists([[0]], 26_000))
