"""The top k is that of a full sort: ties, gaps, known items and all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, RunError
from cllm4rec.ranking import list_length, top_k
from cllm4rec.ranking.topk import GROUP
from reference import metrics as slow

INF = float("inf")


def nothing(rows: int, num_items: int) -> Interactions:
    return Interactions.from_lists([[]] * rows, num_items)


def check(scores: np.ndarray, known: Interactions, k: int, allowed=None) -> None:
    """Against one full sort per row; scores come back as they were."""
    found, best = top_k(scores, known, k, allowed=allowed)
    assert (found.dtype, best.dtype) == (np.int32, np.float32)
    assert found.shape == best.shape == (len(scores), k)
    not_allowed = set() if allowed is None else set(np.flatnonzero(~allowed).tolist())
    for row, items in enumerate(found.tolist()):
        given_scores = scores[row].astype(np.float32).tolist()
        assert items == slow.top_k(given_scores, {*known.of(row).tolist(), *not_allowed}, k)
        wanted = [given_scores[item] if item >= 0 else -INF for item in items]
        assert best[row].tolist() == wanted


# Few distinct values, so that ties are everywhere; zeros of both signs are equal.
tied_scores = st.sampled_from([-INF, -1.5, -0.0, 0.0, 0.25, 0.5, 3e38])


@st.composite
def scored_rows(draw):
    num_items = draw(st.integers(1, 12))
    row = st.lists(tied_scores, min_size=num_items, max_size=num_items)
    scores = draw(st.lists(row, min_size=1, max_size=4))
    one = st.lists(st.integers(0, num_items - 1), unique=True)
    known = [draw(one) for _ in scores]
    return scores, known, num_items


@given(scored_rows(), st.integers(1, 15), st.data())
def test_top_k_equals_a_full_sort(rows, k, data):
    scores, known, num_items = rows
    flags = st.lists(st.booleans(), min_size=num_items, max_size=num_items)
    allowed = data.draw(st.none() | flags.map(np.array))
    check(np.array(scores), Interactions.from_lists(known, num_items), k, allowed)


def some_scores(draw, rows, items):
    """Few different values, so that there are ties; some of them never to be listed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(-3, draw(st.sampled_from([0, 5, 10_000])), (rows, items))
    scores = scores.astype(np.float32) / 7
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.5, 0.99]))] = -np.inf
    seen = rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    allowed = rng.random(items) < draw(st.sampled_from([0.5, 1.0]))
    return scores, Interactions.from_lists([np.flatnonzero(row) for row in seen], items), allowed


@given(data=st.data(), rows=st.integers(0, 4), items=st.integers(0, 200), k=st.integers(1, 12))
def test_lists_of_a_catalogue_of_any_size_are_those_of_a_full_sort(data, rows, items, k):
    check(*some_scores(data.draw, rows, items)[:2], k)


@given(data=st.data(), extra=st.integers(0, 3 * GROUP), k=st.integers(1, 5))
def test_a_wide_catalogue_is_looked_at_in_groups(data, extra, k):
    scores, known, allowed = some_scores(data.draw, 3, GROUP * 2 * k + extra)
    check(scores, known, k, allowed)


@pytest.mark.parametrize("k", [1, 3])
def test_a_wide_catalogue_of_equal_scores_is_listed_by_number(k):
    items = GROUP * 2 * k + 5
    check(np.zeros((2, items), np.float32), nothing(2, items), k)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_scores_come_back_as_they_were(scores):
    found, best = top_k(np.array([scores], np.float32), nothing(1, len(scores)), len(scores))
    assert best[0].tolist() == [scores[item] for item in found[0]]
    assert best[0].tolist() == sorted(scores, reverse=True)


def test_top_k_leaves_its_input_alone():
    scores = np.array([[1.0, 2.0]], np.float32)
    top_k(scores, Interactions.from_lists([[1]], 2), 2, allowed=np.array([False, True]))
    assert scores.tolist() == [[1.0, 2.0]]


def test_only_allowed_items_are_listed():
    scores = np.array([[1.0, 2.0, 3.0, 4.0]])
    known = Interactions.from_lists([[3]], 4)
    allowed = np.array([True, False, True, True])
    items, best = top_k(scores, known, 3, allowed=allowed)
    assert items.tolist() == [[2, 0, -1]]
    assert best.tolist() == [[3.0, 1.0, -INF]]


@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), INF])
@pytest.mark.parametrize("items", [2, 20 * GROUP + 3])
@pytest.mark.parametrize("place", [0, -1])
def test_a_diverged_model_is_not_ranked(bad, items, place):
    scores = np.zeros((2, items))
    scores[1, place] = bad
    with pytest.raises(
        RunError, match=r"row 1 of the scores holds a NaN or \+inf: .* lower learning_rate"
    ):
        top_k(scores, nothing(2, items), 2)


@pytest.mark.parametrize(("k", "length"), [(1, 1), (3, 3), (10**12, 3)])
def test_a_list_is_no_longer_than_the_catalogue(k, length):
    assert list_length(k, 3) == length


@pytest.mark.parametrize(
    ("k", "said"),
    [(0, "0"), (-1, "-1"), (-(10**5_000), "an int too long to print")],
    ids=["none", "negative", "long"],
)
def test_a_list_of_nothing_is_refused(k, said):
    with pytest.raises(InputError, match=f"k = {said} asks for no item; give a k of at least 1"):
        list_length(k, 3)
