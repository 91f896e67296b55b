"""EASE by neighbours: regressions one item at a time, and EASE itself where all are taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear import sparse_ease
from cllm4rec.linear.ordered import WINDOWS
from cllm4rec.linear.rows import Rows
from cllm4rec.linear.solvers import ByNeighbours, Exact
from cllm4rec.linear.sparse_ease import largest_of_rows, nearest_items, sparse_fits
from reference import linear_model as reference
from support.ease import ease_weights
from support.strategies import histories

ITEMS = 8
VECTORS = np.random.default_rng(0).normal(size=(ITEMS, 3)).astype(np.float32)
NONE = np.zeros((ITEMS, 0), np.float32)
ALL = np.array([[j for j in range(ITEMS) if j != i] for i in range(ITEMS)], np.int32)


def some_neighbours(seed: int) -> np.ndarray:
    """Up to four others in any order; −1 after the last, and one item without any."""
    rng = np.random.default_rng(seed)
    found = np.full((ITEMS, 4), -1, np.int32)
    for item in range(1, ITEMS):
        count = int(rng.integers(1, 5))
        found[item, :count] = rng.choice(ALL[item], count, replace=False)
    return found


@given(histories(num_items=ITEMS), st.integers(0, 9), st.sampled_from([0.5, 3.0, 100.0]))
def test_weights_are_each_items_ridge_regression_on_its_neighbours(rows, seed, l2):
    neighbours = some_neighbours(seed)
    matrix = Interactions.from_lists(rows, ITEMS).matrix()
    settings = [(l2, 0.0), (2 * l2, 7.0)]
    for (ridge, alpha), found in zip(
        settings, sparse_fits(matrix, neighbours, VECTORS, settings), strict=True
    ):
        found = found.weights
        assert found.dtype == np.float32
        lists = [[int(j) for j in near if j >= 0] for near in neighbours]
        wanted = reference.by_neighbours([(1.0, r) for r in rows], lists, ridge, VECTORS, alpha)
        np.testing.assert_allclose(found.toarray(), wanted, atol=1e-5)
        assert np.all(np.diff(found.indices[found.indptr[3] : found.indptr[4]]) > 0)


@given(histories(num_items=ITEMS), st.sampled_from([0.0, 5.0]))
def test_with_all_items_as_neighbours_it_is_ease(rows, alpha):
    train = Interactions.from_lists(rows, ITEMS)
    [found] = sparse_fits(train.matrix(), ALL, VECTORS, [(3.0, alpha)])
    wanted = ease_weights(train, l2=3.0, text_vectors=VECTORS, alpha=alpha)
    np.testing.assert_allclose(found.weights.toarray(), wanted, atol=1e-5)


@given(histories(num_items=ITEMS), st.sampled_from([VECTORS, NONE]), st.sampled_from([1, 3, 20]))
def test_the_nearest_are_those_of_the_highest_correlation(rows, vectors, count):
    found = nearest_items(Interactions.from_lists(rows, ITEMS), vectors, count)
    assert found.shape == (ITEMS, min(count, ITEMS - 1))
    correlations = reference.nearest(rows, vectors.astype(float), 100.0, 10.0)
    np.fill_diagonal(correlations, -1)
    for item, near in enumerate(found):
        real = near[near >= 0]
        assert np.all(near[len(real) :] == -1)
        wanted = np.sort(correlations[item])[::-1][: found.shape[1]]
        np.testing.assert_allclose(
            correlations[item, real], wanted[wanted > 1e-6][: len(real)], atol=1e-6
        )
        assert len(real) >= np.sum(wanted > 1e-6)


def test_blocks_of_rows_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    train = Interactions.from_lists([rng.permutation(ITEMS)[:3] for _ in range(20)], ITEMS)
    whole = nearest_items(train, VECTORS, 3)
    monkeypatch.setattr(sparse_ease, "_BLOCK_NUMBERS", 3 * ITEMS)
    np.testing.assert_array_equal(nearest_items(train, VECTORS, 3), whole)


@pytest.mark.parametrize("vectors", [VECTORS, NONE])
def test_both_solvers_agree_where_all_items_are_neighbours(vectors, monkeypatch):
    monkeypatch.setattr(sparse_ease, "REFERENCE_ALPHA", 0.0)  # nobody is left out as uncorrelated
    rng = np.random.default_rng(0)
    lists = [rng.permutation(ITEMS)[:5].tolist() for _ in range(30)]
    train = Interactions.from_lists(lists, ITEMS)
    exact, sparse = Exact(train, vectors), ByNeighbours(train, vectors, ITEMS)
    settings = [(2.0, 0.0), (2.0, 4.0), (9.0, 4.0)]
    for one, other in zip(exact.fits(settings), sparse.fits(settings), strict=True):
        assert one.bias is other.bias is None
        np.testing.assert_allclose(other.weights.toarray(), one.weights, atol=1e-5)
    lists[0] = lists[0][:2]
    train = Interactions.from_lists(lists, ITEMS)
    for solver in (Exact(train, vectors), ByNeighbours(train, vectors, ITEMS)):
        for constant, power in ((0.0, 0.0), (0.7, 0.5)):
            found = solver.windowed(2.0, 4.0, Rows(0.0, constant, power))
            weights = found.weights
            dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
            wanted, bias = reference.averaged(
                lists, ITEMS, WINDOWS, 2.0, vectors.astype(float), 4.0, constant, power
            )
            np.testing.assert_allclose(dense, wanted, rtol=1e-3, atol=1e-4)
            assert (found.bias is None) == (not constant)
            if found.bias is not None:
                np.testing.assert_allclose(found.bias, bias, rtol=1e-3, atol=1e-4)


def test_settings_that_do_not_fit_into_one_pass_take_several(monkeypatch):
    train = Interactions.from_lists([[0, 1, 2], [2, 3], [1, 4, 5], [5, 6, 7]], ITEMS)
    settings = [(l2, alpha) for l2 in (1.0, 5.0) for alpha in (0.0, 2.0)]
    together = [each.weights.toarray() for each in ByNeighbours(train, VECTORS, 3).fits(settings)]
    monkeypatch.setattr("cllm4rec.linear.solvers.MAX_WEIGHTS", 2 * 3 * ITEMS)
    apart = [each.weights.toarray() for each in ByNeighbours(train, VECTORS, 3).fits(settings)]
    np.testing.assert_array_equal(apart, together)


def test_the_largest_of_each_row_are_kept():
    rng = np.random.default_rng(3)
    matrix = Interactions.from_lists([rng.permutation(ITEMS)[:4] for _ in range(20)], ITEMS)
    [fitted] = sparse_fits(matrix.matrix(), some_neighbours(1), VECTORS, [(1.0, 1.0)])
    weights = fitted.weights
    dense, some = weights.toarray(), largest_of_rows(weights, 2)
    for row in range(ITEMS):
        kept = np.sort(np.abs(dense[row]))[::-1][:2]
        np.testing.assert_array_equal(np.sort(np.abs(some.toarray()[row]))[::-1][:2], kept)
        assert np.sum(some.toarray()[row] != 0) <= 2
    np.testing.assert_array_equal(some.toarray()[some.toarray() != 0], dense[some.toarray() != 0])
