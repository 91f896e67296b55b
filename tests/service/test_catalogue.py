from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.ids import IdMap
from cllm4rec.errors import InputError, UnknownId
from cllm4rec.service.catalogue import Catalogue

words = st.sampled_from(["Star", "star", "Wars", "trek", "The", "ÉTOILE", "Straße", "a", "sta"])
titles = st.none() | st.lists(words, max_size=4).map(" ".join)


def catalogue(titles, *, users=(), features=None, counts=None) -> Catalogue:
    """A catalogue without files: what `Catalogue.of` asks a dataset for, and no more."""

    number = len(titles)
    train = SimpleNamespace(item_counts=lambda: np.array(counts or [0] * number))
    dataset = SimpleNamespace(
        texts=SimpleNamespace(
            item_titles=titles, item_texts=[None] * number, item_features=features or {}
        ),
        items=IdMap.from_ids([f"{item:03d}" for item in range(number)], "item"),
        users=IdMap.from_ids(users, "user"),
        part=lambda _name: train,
    )
    return Catalogue.of(dataset)


def slow_search(titles, query):
    folded = " ".join(query.casefold().split())
    found = []
    for item, title in enumerate(titles):
        title = " ".join((title or "").casefold().split())
        if folded and all(word in title for word in folded.split()):
            rank = 0 if title.startswith(folded) else 1 if " " + folded in title else 2
            found.append((rank, item))
    return [item for _, item in sorted(found)]


@given(st.lists(titles, min_size=1, max_size=12), st.lists(words, max_size=3).map(" ".join))
def test_search_finds_what_a_slow_one_finds_in_the_same_order(titles, query):
    assert catalogue(titles).search(query, 100) == slow_search(titles, query)


def test_better_known_items_come_first():
    found = catalogue(["Star A", "Star B", "A Star"], counts=[1, 5, 9]).search("STAR", 2)
    assert found == [1, 0]


@given(st.sets(st.text(max_size=3), max_size=12), st.text(max_size=2), st.integers(1, 5))
def test_users_are_found_by_prefix(users, prefix, limit):
    users = {user for user in users if user.isprintable()}
    expected = sorted(user for user in users if user.startswith(prefix))[:limit]
    assert catalogue(["x"], users=users).users_with(prefix, limit) == expected


def test_filters_meet():
    year = {"year": ["1977", None, "1977", "1980"]}
    known = catalogue(["a", "b", "c", "d"], features=year)
    assert known.allowed(None, None, None) is None
    assert known.allowed(None, [], {}) is None
    assert known.allowed(["000", "001"], None, None).tolist() == [True, True, False, False]
    assert known.allowed([], None, None).tolist() == [False] * 4
    assert known.allowed(None, ["000"], {"year": "1977"}).tolist() == [False, False, True, False]
    assert not known.allowed(None, None, {"year": "2000"}).any()
    assert known.attributes_of(1) == {"year": None}
    assert known.attributes_of(3) == {"year": "1980"}


def test_what_does_not_exist_is_named():
    known = catalogue(["a"], features={"year": ["1977"]})
    with pytest.raises(InputError, match=r"no column 'colour'; there are: year"):
        known.allowed(None, None, {"colour": "red"})
    with pytest.raises(UnknownId, match=r"unknown item '7'"):
        known.item_numbers(["000", "7"])
    with pytest.raises(UnknownId, match="unknown user"):
        known.user_numbers(["7"])
