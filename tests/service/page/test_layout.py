"""The plane's places: every item has one, neighbours stay neighbours, nothing is left to chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.service.page import layout as module
from cllm4rec.service.page.layout import layout, rows_below

NEAR = 10


def clustered(count: int, size: int = 24, seed: int = 0) -> np.ndarray:
    """Ten blobs in ``size`` dimensions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(10, size))
    return (centres[np.arange(count) % 10] + 0.4 * rng.normal(size=(count, size))).astype("f4")


def nearest(points: np.ndarray, count: int = NEAR) -> list[set[int]]:
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return [set(row[:count]) for row in np.argsort(distances, axis=1)]


def kept_neighbours(items: np.ndarray, places: np.ndarray) -> float:
    """Share of each item's nearest items that are among the nearest in the plane."""
    pairs = zip(nearest(items), nearest(places), strict=True)
    return float(np.mean([len(a & b) / NEAR for a, b in pairs]))


def test_neighbours_stay_neighbours_far_more_often_than_by_chance():
    items = clustered(200)
    places = layout(items, np.ones(200, dtype=int), 0)
    chance = NEAR / len(items)
    assert kept_neighbours(items, places) > 5 * chance


def test_neighbours_stay_neighbours_where_most_items_are_placed_between_others(monkeypatch):
    monkeypatch.setattr(module, "MOST_EMBEDDED", 80)
    monkeypatch.setattr(module, "PLACED_AT_ONCE", 33)
    items = clustered(300)
    places = layout(items, np.arange(300), 0)
    assert np.isfinite(places).all()
    assert kept_neighbours(items, places) > 3 * NEAR / len(items)


def test_the_same_seed_draws_the_same_map():
    items, weights = clustered(120), np.arange(120)
    assert layout(items, weights, 3).tobytes() == layout(items, weights, 3).tobytes()


def test_the_map_fills_the_unit_square_and_no_more():
    places = layout(clustered(150), np.ones(150, dtype=int), 0)
    assert places.min() >= 0
    assert places.max() <= 1
    assert np.ptp(places, axis=0).max() == pytest.approx(1)


@given(count=st.integers(0, 12), unlearned=st.integers(0, 12), size=st.integers(1, 5))
def test_every_item_has_a_finite_place_however_few_there_are(count, unlearned, size):
    rng = np.random.default_rng(count)
    learned = rng.normal(size=(count, size)).astype("f4")
    items = np.concatenate([learned, np.zeros((unlearned, size), "f4")])
    places = layout(items, np.ones(len(items), dtype=int), 0)
    assert places.shape == (count + unlearned, 2)
    assert np.isfinite(places).all()


def test_equal_items_do_not_break_the_map():
    places = layout(np.ones((40, 8), "f4"), np.ones(40, dtype=int), 0)
    assert np.isfinite(places).all()


def test_items_that_were_never_trained_stand_below_in_rows_of_their_own():
    items = clustered(60)
    items[[3, 7, 50]] = 0
    places = layout(items, np.ones(60, dtype=int), 0)
    below = places[:, 1] > np.delete(places, [3, 7, 50], axis=0)[:, 1].max()
    assert np.flatnonzero(below).tolist() == [3, 7, 50]


@given(count=st.integers(0, 3000))
def test_rows_below_are_all_different_places_under_the_square(count):
    places = rows_below(count, 0.9)
    assert len(np.unique(places, axis=0)) == count
    assert ((places[:, 0] > 0) & (places[:, 0] < 1) & (places[:, 1] > 0.9)).all()
