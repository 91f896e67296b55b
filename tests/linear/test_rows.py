"""The rows of EASE's regression: a constant beside the items, and histories weighed by length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.fitted import Fitted
from cllm4rec.linear.rows import Rows, constant_column
from cllm4rec.linear.solvers import ByNeighbours, Exact
from cllm4rec.linear.transitions import FUTURE_DECAY, PAST_DECAY
from reference import linear_model as reference
from support.strategies import histories

ITEMS = 8
VECTORS = np.random.default_rng(0).normal(size=(ITEMS, 3)).astype(np.float32)
NONE = np.zeros((ITEMS, 0), np.float32)
EVERY = [[other for other in range(ITEMS) if other != item] for item in range(ITEMS)]
SETTINGS = [(2.0, 0.0), (2.0, 4.0), (9.0, 4.0)]
ROWS = st.builds(
    Rows, st.sampled_from([0.0, 2.0]), st.sampled_from([0.0, 0.3, 2.0]), st.sampled_from([0.0, 0.5])
)


def slowly(lists, near, l2, vectors, alpha, rows: Rows):
    given = lists, near, l2, vectors.astype(float), alpha, rows.transitions
    return reference.regressed(*given, PAST_DECAY, FUTURE_DECAY, rows.constant, rows.length_power)


@given(histories(num_items=ITEMS), ROWS, st.sampled_from([VECTORS, NONE]))
def test_exact_fits_are_each_items_least_squares(lists, rows, vectors):
    solver = Exact(Interactions.from_lists(lists, ITEMS), vectors)
    for (l2, alpha), found in zip(SETTINGS, solver.fits(SETTINGS, rows), strict=True):
        weights, bias = slowly(lists, EVERY, l2, vectors, alpha, rows)
        np.testing.assert_allclose(found.weights, weights, atol=1e-5)
        assert found.weights.flags.c_contiguous
        assert (found.bias is None) == (rows.constant == 0)
        if found.bias is not None:
            assert found.bias.dtype == np.float32
            np.testing.assert_allclose(found.bias, bias, atol=1e-5)


@given(histories(num_items=ITEMS), ROWS, st.sampled_from([1, 3, ITEMS]))
def test_by_neighbours_they_are_least_squares_on_those_and_the_constant(lists, rows, count):
    solver = ByNeighbours(Interactions.from_lists(lists, ITEMS), VECTORS, count)
    near = [[int(other) for other in some if other >= 0] for some in solver.nearest]
    for (l2, alpha), found in zip(SETTINGS, solver.fits(SETTINGS, rows), strict=True):
        weights, bias = slowly(lists, near, l2, VECTORS, alpha, rows)
        np.testing.assert_allclose(found.weights.toarray(), weights, atol=1e-5)
        assert (found.bias is None) == (rows.constant == 0)
        if found.bias is not None:
            np.testing.assert_allclose(found.bias, bias, atol=1e-5)


@given(histories(num_items=ITEMS), st.sampled_from([0.0, 0.25, 1.0]))
def test_the_mean_interaction_counts_one(lists, power):
    train = Interactions.from_lists(lists, ITEMS)
    weights = Rows(length_power=power).roots(train) ** 2
    np.testing.assert_allclose((weights * train.counts()).sum(), len(train), rtol=1e-5)
    for one, history in zip(weights, lists, strict=True):
        for other, longer in zip(weights, lists, strict=True):
            if history and longer:
                ratio = (len(history) / len(longer)) ** -power
                np.testing.assert_allclose(one / other, ratio, rtol=1e-5)


def test_a_row_without_an_item_has_no_constant():
    matrix = Interactions.from_lists([[0, 2], [], [1]], 3).matrix() * np.float32(2)
    assert constant_column(matrix, 0.5).tolist() == [1, 0, 1]


@pytest.mark.parametrize("solver", [Exact, lambda *given: ByNeighbours(*given, ITEMS)])
def test_after_no_item_the_bias_ranks_by_popularity(solver):
    """Without it nothing is known of somebody without a history, and little after one item."""
    lists = [[0, 1], [0, 2], [0, 3], [0, 1], [4, 5], [1, 6]]
    train = Interactions.from_lists(lists, ITEMS)
    [found] = solver(train, NONE).fits([(1.0, 0.0)], Rows(constant=1.0))
    none = Interactions.from_lists([[]], ITEMS).matrix()
    scores = found.scores(none)[0]
    assert np.argsort(-scores)[:2].tolist() == [0, 1]
    assert scores[7] == pytest.approx(0, abs=1e-6)
    assert not Fitted(found.weights).scores(none).any()
