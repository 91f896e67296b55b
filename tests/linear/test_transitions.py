"""EASE that learns what comes next: rows of past and future, and the closed form over them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.rows import Rows
from cllm4rec.linear.solvers import ByNeighbours, Exact
from cllm4rec.linear.transitions import FUTURE_DECAY, PAST_DECAY, past_and_future
from reference import linear_model as reference
from support.strategies import histories

ITEMS = 8
VECTORS = np.random.default_rng(0).normal(size=(ITEMS, 3)).astype(np.float32)
NONE = np.zeros((ITEMS, 0), np.float32)
EVERY = [[other for other in range(ITEMS) if other != item] for item in range(ITEMS)]
SETTINGS = [(2.0, 0.0), (2.0, 4.0), (9.0, 4.0)]


@given(histories(num_items=ITEMS))
def test_each_place_in_a_history_gives_its_past_and_its_future(rows):
    found = past_and_future(Interactions.from_lists(rows, ITEMS))
    wanted = reference.past_and_future(rows, ITEMS, PAST_DECAY, FUTURE_DECAY)
    for matrix, slow in zip(found, wanted, strict=True):
        assert matrix.dtype == np.float32
        np.testing.assert_allclose(matrix.toarray(), slow, rtol=1e-6)


def test_what_is_far_away_is_left_out():
    train = Interactions.from_lists([list(range(12))], 12)
    past, future = (matrix.toarray() for matrix in past_and_future(train))
    np.testing.assert_array_equal(past[-1], [0] * 4 + [0.5**age for age in range(6, -1, -1)] + [0])
    np.testing.assert_array_equal(future[0], [0] + [0.5**age for age in range(7)] + [0] * 4)


@given(histories(num_items=ITEMS), st.sampled_from([0.5, 3.0]), st.sampled_from([VECTORS, NONE]))
def test_exact_weights_are_each_items_least_squares(rows, weight, vectors):
    train = Interactions.from_lists(rows, ITEMS)
    for (l2, alpha), found in zip(
        SETTINGS, Exact(train, vectors).fits(SETTINGS, Rows(weight)), strict=True
    ):
        wanted = reference.directed(
            rows, EVERY, l2, vectors.astype(float), alpha, weight, PAST_DECAY, FUTURE_DECAY
        )
        assert found.weights.dtype == np.float32
        np.testing.assert_allclose(found.weights, wanted, atol=1e-5)


@pytest.mark.parametrize("vectors", [VECTORS, NONE])
def test_a_large_catalogue_in_float32_has_the_same_weights(vectors, monkeypatch):
    monkeypatch.setattr("cllm4rec.linear.ease.FLOAT64_ITEMS", 0)
    monkeypatch.setattr("cllm4rec.linear.transitions._BLOCK", 3)
    rows = [[0, 1, 2], [3, 1], [5, 4, 7, 0], [6, 2, 1]]
    train = Interactions.from_lists(rows, ITEMS)
    for (l2, alpha), found in zip(
        SETTINGS, Exact(train, vectors).fits(SETTINGS, Rows(2.0)), strict=True
    ):
        wanted = reference.directed(
            rows, EVERY, l2, vectors.astype(float), alpha, 2.0, PAST_DECAY, FUTURE_DECAY
        )
        np.testing.assert_allclose(found.weights, wanted, atol=1e-5)


@given(histories(num_items=ITEMS), st.sampled_from([1, 3, ITEMS]))
def test_by_neighbours_they_are_least_squares_on_those_alone(rows, count):
    train = Interactions.from_lists(rows, ITEMS)
    solver = ByNeighbours(train, VECTORS, count)
    near = [[int(other) for other in some if other >= 0] for some in solver.nearest]
    for (l2, alpha), found in zip(SETTINGS, solver.fits(SETTINGS, Rows(2.0)), strict=True):
        wanted = reference.directed(
            rows, near, l2, VECTORS.astype(float), alpha, 2.0, PAST_DECAY, FUTURE_DECAY
        )
        np.testing.assert_allclose(found.weights.toarray(), wanted, atol=1e-5)


def test_they_have_a_direction():
    train = Interactions.from_lists([[0, 1, 2]] * 5, 3)
    [fitted] = Exact(train, np.zeros((3, 0), np.float32)).fits([(1.0, 0.0)], Rows(2.0))
    weights = fitted.weights
    assert weights[0, 1] > weights[1, 0] + 0.1
    assert weights[1, 2] > weights[2, 1] + 0.1
