from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.service.type_ahead import TypeAhead, users_with
from support.ids import id_map

words = st.sampled_from(["Star", "star", "Wars", "trek", "The", "ÉTOILE", "Straße", "Łódź", "lodz"])
titles = st.none() | st.lists(words, max_size=4).map(" ".join)


def type_ahead(titles, counts=None) -> TypeAhead:
    catalogue = SimpleNamespace(titles=titles, counts=np.array(counts or [0] * len(titles)))
    return TypeAhead(catalogue)


def plain(text):
    for letter, written in {"é": "e", "ó": "o", "ź": "z", "ł": "l", "ß": "ss"}.items():
        text = text.lower().replace(letter, written)
    return text


def slow_search(titles, query):
    folded = " ".join(plain(query).split())
    found = []
    for item, title in enumerate(titles):
        title = " ".join(plain(title or "").split())
        if folded and all(word in title for word in folded.split()):
            rank = 0 if title.startswith(folded) else 1 if " " + folded in title else 2
            found.append((rank, item))
    return [item for _, item in sorted(found)]


@given(st.lists(titles, min_size=1, max_size=12), st.lists(words, max_size=3).map(" ".join))
def test_search_finds_what_a_slow_one_finds_in_the_same_order(titles, query):
    assert type_ahead(titles).search(query, 100) == slow_search(titles, query)


def test_better_known_items_come_first():
    found = type_ahead(["Star A", "Star B", "A Star"], [1, 5, 9]).search("STAR", 2)
    assert found == [1, 0]


def test_diacritics_need_not_be_typed():
    found = type_ahead(["Łódź po drodze", "Smørrebrød", "Đorđe", "Straße", "Æon", "naïve"])
    for item, query in enumerate(["lodz", "smorrebrod", "dorde", "STRASSE", "aeon", "naive"]):
        assert found.search(query, 9) == [item]
        assert found.search(found._titles[item].split()[0], 9) == [item]


@given(st.sets(st.text(max_size=3), max_size=12), st.text(max_size=2), st.integers(1, 5))
def test_users_are_found_by_prefix(users, prefix, limit):
    users = {user for user in users if user.isprintable()}
    expected = sorted(user for user in users if user.startswith(prefix))[:limit]
    assert users_with(id_map(users, "user"), prefix, limit) == expected
