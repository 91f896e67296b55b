"""No word of a text is lost: what an index has, and what an earlier version's has not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from cllm4rec.linear.word_index import WordIndex

TEXTS = [
    "Fire pit",
    "Thin crust stone",
    "Vitamin C of Acme",
    "Vitamin D of Acme",
    "Playstation 4",
    "Playstation 5",
    "It",
    "The The",
]


@pytest.fixture(scope="module")
def index() -> WordIndex:
    return WordIndex.fit(TEXTS)


def found(index: WordIndex, query: str) -> list[int]:
    return np.flatnonzero(index.having_all(index.words_of(query))).tolist()


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("fire", [0]),
        ("thin", [1]),
        ("vitamin c", [2]),
        ("a vitamin D", [3]),
        ("playstation 5", [5]),
        ("it", [6]),
        ("the", [7]),
        ("the vitamin", [2, 3]),
        ("acme a vitamin", [2, 3]),
        ("full", []),
    ],
)
def test_every_word_finds_the_items_that_have_it(index, query, items):
    assert found(index, query) == items


def test_words_that_stand_for_themselves_alone_come_last(index):
    alone = [index.is_alone(word) for word in index.terms]
    assert alone == sorted(alone)
    assert [word for word in index.terms if index.is_alone(word)] == [
        "4", "5", "c", "d", "of", "the"
    ]  # fmt: skip
    assert not index.is_alone("犬")


def test_an_index_that_is_read_again_is_the_same(index):
    again = WordIndex.of_arrays(index.arrays(), index.names())
    assert again.whole
    assert again.terms == index.terms
    assert found(again, "vitamin c") == [2]
    further = again.with_items(["System 5 of C"])
    assert found(further, "system 5") == [8]
    assert found(further, "system c") == [8]


def earlier(texts: list[str]) -> WordIndex:
    """The index of an earlier version: stop words and single characters were never in it."""
    kept = [
        " ".join(w for w in text.lower().split() if len(w) > 1 and w not in ENGLISH_STOP_WORDS)
        for text in texts
    ]
    new = WordIndex.fit(kept)
    names = {**new.names(), "stop_words": sorted(ENGLISH_STOP_WORDS)}
    del names["whole"]
    return WordIndex.of_arrays(new.arrays(), names)


def test_an_earlier_index_answers_as_it_did_and_says_what_it_left_out():
    old = earlier(TEXTS)
    assert not old.whole
    assert old.words_of("the vitamin C fire") == ["vitamin"]
    assert found(old, "the vitamin c") == [2, 3]
    assert not any(map(old.is_alone, old.terms))
    for query in ("fire", "5", "vitamin c", "the"):
        assert old.left_out(query)
        assert not WordIndex.fit(TEXTS).left_out(query)
    assert not old.left_out("the vitamin")
    further = old.with_items(["Fire vitamin 5"])
    assert further.terms == old.terms
    assert replace(further, weights=old.weights).words_of("fire pit") == ["pit"]
