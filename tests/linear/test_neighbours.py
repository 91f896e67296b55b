import numpy as np
import pytest

import reference.new_items
from cllm4rec.linear.neighbours import neighbour_weights, offset_for_share
from cllm4rec.linear.text_vectors import beside, whitened


def vectors_of(items, size=5, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(items, size)).astype(np.float32)
    vectors[3] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@pytest.mark.parametrize(("k", "power"), [(1, 1.0), (4, 3.0), (99, 2.0)])
def test_weights_are_those_of_the_definition(k, power):
    vectors, items, among = vectors_of(20), np.array([3, 7, 0]), np.array([1, 2, 4, 5, 9, 12, 19])
    found = neighbour_weights(vectors, items, among, k=k, power=power)
    wanted = reference.new_items.neighbour_weights(vectors, items, among, k, power)
    assert found.shape == (3, 20)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), wanted, atol=1e-6)


@pytest.mark.parametrize("most", [1, 7 * 400, 2**24])
def test_a_row_is_the_same_bits_whichever_others_are_expressed(most, monkeypatch):
    vectors, among = vectors_of(700, size=67), np.arange(400)
    vectors[10:30] = vectors[40]  # more of one vector than neighbours, in the items and among them
    vectors[500:520] = vectors[40]
    near = np.random.default_rng(1).normal(scale=1e-8, size=(40, 67)) + vectors[41]
    vectors[50:90] = near  # less apart than cosines are rounded
    vectors[520:560] = vectors[41]
    items = np.arange(400, 700)
    monkeypatch.setattr("cllm4rec.linear.neighbours.MOST_COSINES", most)
    whole = neighbour_weights(vectors, items, among, k=5, power=2.0)
    for some in ([0], [299, 3], [100, 101, 250], [120], range(90, 160)):
        alone = neighbour_weights(vectors, items[list(some)], among, k=5, power=2.0)
        np.testing.assert_array_equal(alone.toarray(), whole[list(some)].toarray())
    assert np.diff(whole.indptr)[100] == 21, "equally near ones are all kept"


def test_items_without_a_text_are_compared_with_nothing(monkeypatch):
    """Their cosines are all zero: as near as that would be every other item."""
    vectors, compared = vectors_of(60), []
    vectors[:20] = 0
    einsum = np.einsum
    monkeypatch.setattr(np, "einsum", lambda *of: compared.append(len(of[1])) or einsum(*of))
    found = neighbour_weights(vectors, np.arange(10), np.arange(10, 60), k=5, power=2.0)
    assert (found.nnz, sum(compared)) == (0, 0)


def test_weights_of_small_cosines_sum_to_one():
    vectors = np.array([[1e-14, 1], [1, 0], [1, 0]], np.float32)
    found = neighbour_weights(vectors, np.array([0]), np.array([1, 2]), k=5, power=3.0)
    np.testing.assert_allclose(found.toarray(), [[0, 0.5, 0.5]])


def test_without_new_items_there_are_no_rows():
    found = neighbour_weights(vectors_of(6), np.array([], int), np.arange(6), k=2, power=1.0)
    assert found.shape == (0, 6)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_an_offset_gives_new_items_their_share(share):
    rng = np.random.default_rng(1)
    others = -np.sort(-rng.normal(size=(200, 20)).astype(np.float32), axis=1)
    new = -np.sort(-rng.normal(size=(200, 20)).astype(np.float32) * 3 + 5, axis=1)
    offset = offset_for_share(others, new, share)
    found = reference.new_items.share_of_new(others.tolist(), new.tolist(), offset)
    assert found == pytest.approx(share, abs=1 / others.size)


def test_lists_without_new_items_need_no_offset():
    others = np.zeros((3, 4), np.float32)
    assert offset_for_share(others, np.full((3, 4), -np.inf, np.float32), 0.5) == 0


def test_whitened_components_are_uncorrelated_and_as_wide_as_the_power_says():
    rng = np.random.default_rng(2)
    given = (rng.normal(size=(400, 6)) @ np.diag([8, 4, 2, 1, 1, 1]) + 30).astype(np.float32)
    given[5] = 0
    kept = np.arange(400) != 5
    for power in (0.0, 0.5, 1.0):
        found = whitened(given, power)
        assert not found[5].any()
        np.testing.assert_allclose(np.linalg.norm(found[kept], axis=1), 1, atol=1e-5)
    # Of rows before they get length one the std would be S^(1 - power): compare by one row's parts.
    centred = given[kept] - given[kept].mean(axis=0)
    std = np.sqrt(np.linalg.eigvalsh(centred.T @ centred / kept.sum())[::-1])
    plain, half = whitened(given, 0.0)[0], whitened(given, 0.5)[0]
    np.testing.assert_allclose(
        half / plain * std**0.5, np.full(6, (half / plain * std**0.5)[0]), rtol=1e-3
    )


def test_whitening_keeps_the_largest_components_and_nothing_of_nothing():
    given = vectors_of(50, size=8)
    assert whitened(given, 0.5, dimensions=3).shape == (50, 3)
    assert whitened(np.zeros((4, 3), np.float32), 0.5).shape == (4, 0)


def test_products_of_vectors_beside_each_other_are_weighted_means():
    first, second = vectors_of(10, seed=3), vectors_of(10, seed=4)
    found = beside(first, second, 3.0)
    np.testing.assert_allclose(
        found[1] @ found[2], (first[1] @ first[2] + 3 * second[1] @ second[2]) / 4, atol=1e-6
    )
