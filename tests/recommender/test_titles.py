"""Titles that are a query come first, whatever is popular; the words' weight is a setting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError
from cllm4rec.linear.folding import folded
from cllm4rec.recommender.beside_taste import WEIGHT, Wanted
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.titles import NEAR, Titles
from reference.queries import asked_for

TITLES = [
    "Heat (1995)",
    "Toy Story",
    "Toy Story 2",
    "It",
    None,
    "Łódź: a story of toys",
    "9",
    "Heat",
]
TEXTS = [title or "toy story heat" for title in TITLES]
TASTE = np.array([[9, 1, 5, 3, 8, 2, 0, 4], [0, 0, 1, 0, 9, 9, 0, 9]], np.float32)

words = st.sampled_from(["Toy", "STORY", "heat", "łódź", "2", "straße", "it"])
texts = st.lists(words, max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def queries() -> Queries:
    found = Queries.of(TEXTS, None)
    assert found is not None
    return Queries(found.index, None, titles=TITLES)


def slow_nearness(title, query):
    has, asked = set(folded(title or "").split()), set(folded(query).split())
    share = len(has & asked) / max(1, len(has | asked))
    return share if share >= NEAR else 0


@given(st.lists(st.none() | texts, min_size=1, max_size=6), texts)
def test_nearness_is_the_share_of_common_words(titles, query):
    slow = [slow_nearness(title, query) for title in titles]
    np.testing.assert_allclose(Titles(titles).nearness(query), slow, rtol=1e-6)


def test_voiced_kana_are_other_words_in_titles():
    titles = Titles(["バグの本", "パクの本", "はくの本"])
    assert titles.nearness("バグの本").tolist() == [1, 0, 0]
    assert titles.nearness("\u30cf\u3099\u30af\u3099の本").tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("toy story", [1, 2]),
        ("2 toy STORY", [2, 1]),
        ("heat", [7, 0]),
        ("heat 1995", [0, 7]),
        ("lodz a story of toys", [5]),
        ("it", [3]),
        ("9", [6]),
    ],
)
@given(
    taste=st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=8),
    weight=st.none() | st.floats(0.01, 50),
)
def test_the_nearest_title_is_first_for_any_taste(queries, query, first, taste, weight):
    for rows in (TASTE, np.array([taste], np.float32)):
        for row in queries.wanted(query, weight).beside(rows):
            assert np.argsort(-row)[: len(first)].tolist() == first


def test_other_items_keep_their_scores(queries):
    wanted = queries.wanted("toy story")
    plain = Wanted(wanted.words, np.zeros_like(wanted.titles)).beside(TASTE)
    far = wanted.titles == 0
    np.testing.assert_array_equal(wanted.beside(TASTE)[:, far], plain[:, far])


@pytest.mark.parametrize("query", ["toy", "heat 1995", "story, toy", "toy lodz unheard"])
@pytest.mark.parametrize("weight", [WEIGHT, 1, 40.0])
def test_words_are_weighed_and_all_of_them_lifted(queries, query, weight):
    slow = asked_for(queries.scores(query), TEXTS, query, weight)
    np.testing.assert_allclose(queries.wanted(query, weight).words, slow, rtol=1e-4, atol=1e-5)


def test_with_a_larger_weight_items_with_every_word_come_before_popular_ones(queries):
    taste = np.array([[0, -1, 1, 2, 0, -1, 2, 1]], np.float32)
    listed = np.argsort(-queries.wanted("story", 1).beside(taste)[0]).tolist()
    assert set(listed[:4]) == {1, 2, 4, 5}


@pytest.mark.parametrize("weight", [0, -1, 1001, float("nan"), float("inf"), "1", True])
def test_a_weight_that_is_none_is_refused(queries, weight):
    with pytest.raises(InputError, match=r"query's weight is .*; give a number above 0, up to 1,0"):
        queries.wanted("toy", weight)


def test_a_query_without_words_or_title_is_refused(queries):
    for query in ("", "?!", "xqzzt", 7):
        with pytest.raises(InputError):
            queries.wanted(query)
