"""Filters by id and by attribute, against plain loops over the same values."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError, UnknownId
from cllm4rec.recommender.catalogue import Attribute, Catalogue, Filters
from support.ids import id_map

values = st.none() | st.lists(st.sampled_from(["a", "b", " a", "a|b", "a, b", "a,c", "|"]))


def catalogue(**attributes) -> Catalogue:
    """Four items with these attributes: what a `Catalogue` asks a dataset for, and no more."""
    dataset = SimpleNamespace(
        texts=SimpleNamespace(item_attributes=attributes),
        items=id_map([f"{item:03d}" for item in range(4)], "item"),
    )
    return Catalogue(dataset)


def test_filters_meet():
    known = catalogue(year=[["1977"], None, ["1977"], ["1980"]])
    assert known.allowed(Filters()) is None
    assert known.allowed(Filters(exclude=[], where={})) is None
    assert known.allowed(Filters(["000", "001"])).tolist() == [True, True, False, False]
    assert known.allowed(Filters([])).tolist() == [False] * 4
    both = Filters(exclude=["000"], where={"year": "1977"})
    assert known.allowed(both).tolist() == [False, False, True, False]
    assert not known.allowed(Filters(where={"year": "2000"})).any()
    assert known.attributes_of(1) == {"year": None}
    assert known.attributes_of(3) == {"year": "1980"}


def test_filters_are_recorded_as_what_they_mean():
    given = Filters(["b", "a"], ["c"], {"year": "1977"})
    record = given.record()
    assert record == Filters(["a", "b", "a"], ["c"], {"year": "1977"}).record()
    assert record["where"] == {"year": "1977"}
    assert "a" not in record["include"].split()
    others = [
        Filters(["a"], ["c"], {"year": "1977"}),
        Filters(["c"], ["a", "b"], {"year": "1977"}),
        Filters(["a", "b"], ["c"], {"year": "1978"}),
        Filters(["a", "b"], ["c"], {"year": "1977"}, seen=True),
        Filters([]),
    ]
    assert all(other.record() not in (record, None) for other in others)
    assert Filters(exclude=[], where={}).record() is None


def test_a_value_is_found_as_a_whole_and_by_its_parts():
    known = catalogue(
        genres=[["Action|Comedy"], ["Comedy, War"], ["Comedy, noir", "War"], ["Comedy noir"]]
    )
    for value, items in {
        "Action": [0],
        "Comedy": [0, 1, 2],
        "Action|Comedy": [0],
        "Comedy, War": [1],
        "Comedy, noir": [2],
        "Comedy, noir, War": [2],
        " War ": [1, 2],
        "Comedy noir": [3],
        "Comed": [],
        "": [],
    }.items():
        assert known.attributes["genres"].matching(value).tolist() == items, value
    assert known.attributes["genres"].of(2) == "Comedy, noir, War"


@given(st.lists(values, max_size=6), st.sampled_from(["a", "b", "a|b", "a, b", "c", "|", "d"]))
def test_what_matches_is_what_a_loop_finds(column, wanted):
    found = []
    for item, given_values in enumerate(column):
        names = {", ".join(given_values).strip()} if given_values else set()
        for value in given_values or []:
            parts = [part for half in value.split("|") for part in half.split(",")]
            names |= {value.strip()} | {part.strip() for part in parts if part.strip()}
        if wanted in names:
            found.append(item)
    assert Attribute(column).matching(wanted).tolist() == found


def test_what_does_not_exist_is_named():
    known = catalogue(year=[["1977"], None, None, None])
    with pytest.raises(InputError, match=r"no column 'colour'; there are: year"):
        known.allowed(Filters(where={"colour": "red"}))
    with pytest.raises(UnknownId, match=r"unknown item '7'"):
        known.item_numbers(["000", "7"])
    with pytest.raises(UnknownId, match=r"unknown item 7"):
        known.item_numbers([7])


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (Filters(where={"year": "secret"}), "none has that year; frequent ones: 1977, 1980"),
        (Filters(["001"], where={"year": "1977"}), "none meets all of them"),
        (Filters([]), "none meets all of them"),
        (Filters(where={"year": "1980"}), None),
        (Filters(), None),
    ],
)
def test_filters_that_no_item_passes_say_why_without_the_value(filters, why):
    known = catalogue(year=[["1977"], None, ["1977"], ["1980"]])
    said = known.nothing_passes(filters, known.allowed(filters))
    assert said == (None if why is None else f"no item passes the filters: {why}")
