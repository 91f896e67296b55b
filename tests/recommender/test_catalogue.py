"""Filters by id and by attribute, and what is said of them."""

from types import SimpleNamespace

import pytest

from cllm4rec.errors import InputError, UnknownId
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.resolving import filter_notes
from support.ids import id_map


def catalogue(**attributes) -> Catalogue:
    """Four items with these attributes: what a `Catalogue` asks a dataset for, and no more."""
    titles = ["Fargo", None, "fargo", "Heat"]
    dataset = SimpleNamespace(
        texts=SimpleNamespace(item_attributes=attributes, item_titles=titles),
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
    assert known.allowed(Filters(where={"year": 1977})).tolist() == [True, False, True, False]
    assert known.allowed(Filters(where=["year<1980"])).tolist() == [True, False, True, False]
    both = Filters(where=["year>=1977", "year!=1977"])
    assert known.allowed(both).tolist() == [False, False, False, True]
    costs = catalogue(price=[["20.50"], ["20"], None, ["7"]])
    assert costs.allowed(Filters(where={"price": 20.5})).tolist() == [True, False, False, False]
    assert costs.allowed(Filters(where={"price": 20.0})).tolist() == [False, True, False, False]
    assert known.attributes_of(1) == {"year": None}
    assert known.attributes_of(3) == {"year": "1980"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("price=>5", "price>=5"),
        ("price = > 5", "price>= 5"),
        ("price=<5", "price<=5"),
        ("price==5", "price=5"),
        ("price===5", "price=5"),
        ("price!==5", "price!=5"),
        ("price>==5", "price>=5"),
        ("price<>5", "price!=5"),
        ("price!>5", "price<=5"),
        ("price!<5", "price>=5"),
        ("price!>=5", "price<5"),
        ("price!=>5", "price<=5"),
        ("price ! <= 5", "price> 5"),
        ("kind==a", "kind=a"),
    ],
)
def test_a_slip_of_an_operator_is_refused_with_what_was_meant(text, meant):
    known = catalogue(price=[["5"], ["7"], None, ["x"]], kind=[["a"], ["=b"], ["<c>"], None])
    with pytest.raises(InputError) as refused:
        known.allowed(Filters(where=[text]))
    said, advice = str(refused.value).rsplit(": ", 1)
    sign = meant.removeprefix("price").removeprefix("kind").rstrip("5a ")
    assert advice == f"{sign} is likely meant; write {meant}"
    assert said.replace(" ", "") == f"where{text}".replace(" ", "")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("<20", "price<20"),
        (" >= 20", "price>=20"),
        ("!20", "price!=20"),
        ("!>20", "price<=20"),
        ("=20", "price=20"),
        ("=>20", "price>=20"),
        ("<>20", "price!=20"),
        ('="a"', 'price=\\"a\\"'),
        ("<\n20", "price<20"),
    ],
)
def test_an_operator_in_the_value_of_a_dictionary_is_refused_with_the_list(value, meant):
    known = catalogue(price=[["5"], ["27"], None, ["x"]])
    with pytest.raises(InputError) as refused:
        known.allowed(Filters(where={"price": value}))
    assert str(refused.value) == (
        f'where: no item has the price {value!r}; write where=["{meant}"], '
        f'in HTTP "where": ["{meant}"]'
    )
    with pytest.raises(InputError, match="items have no column 'cost'"):
        known.allowed(Filters(where={"cost": value}))


def test_values_that_begin_as_an_operator_are_found_where_there_are_some():
    known = catalogue(kind=[["a"], ["=b"], ["<c>"], None], **{"price!": [["5"], ["7"], None, None]})
    assert known.allowed(Filters(where=["kind==b"])).nonzero()[0].tolist() == [1]
    assert known.allowed(Filters(where=["kind!==b"])).nonzero()[0].tolist() == [0, 2]
    assert known.allowed(Filters(where=["kind=<c>"])).nonzero()[0].tolist() == [2]
    assert known.allowed(Filters(where=["price!>5"])).nonzero()[0].tolist() == [1]
    assert known.allowed(Filters(where={"kind": " <c>"})).nonzero()[0].tolist() == [2]
    assert not known.allowed(Filters(where={"kind": "a<b"})).any()
    assert not known.allowed(Filters(where={"kind": "="})).any()
    assert not known.allowed(Filters(where=["kind=="])).any()
    with pytest.raises(InputError, match="items have no column 'colour!'"):
        known.allowed(Filters(where=["colour!>5"]))


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
    assert Filters(["b", "a"], ["c"], ["year=1977"]).record() == record
    ranges = Filters(where=("year <1980", "price!=5", "genre=a")).record()
    assert ranges == Filters(where=["genre=a", "price!=5", "year< 1980"]).record()
    assert ranges["where"] == ["genre=a", "price!=5", "year<1980"]
    assert ranges != Filters(where=("year<=1980", "price!=5", "genre=a")).record()
    assert Filters(where=()).record() is None


def test_what_does_not_exist_is_named():
    known = catalogue(year=[["1977"], None, None, None])
    with pytest.raises(InputError, match=r"no column 'colour'; there are: year"):
        known.allowed(Filters(where={"colour": "red"}))
    with pytest.raises(InputError, match=r"no column 'colour'; there are: year"):
        known.allowed(Filters(where=["colour>red"]))
    with pytest.raises(UnknownId, match=r"unknown item '7'"):
        known.item_numbers(["000", "7"])
    with pytest.raises(UnknownId, match=r"unknown item 7"):
        known.item_numbers([7])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Heat", "unknown item 'Heat': this is the title of item '003'; give the id"),
        (" FARGO", "unknown item ' FARGO': this is the title of items '000', '002'; give the id"),
        (" ", "unknown item ' '; this run knows 4 items"),
        ("He", "unknown item 'He'; this run knows 4 items"),
    ],
)
def test_a_title_that_is_given_for_an_id_is_told(given, said):
    with pytest.raises(UnknownId) as raised:
        catalogue().item_numbers(["001", given])
    assert str(raised.value).startswith(said)


def test_of_many_items_of_one_title_three_are_named():
    known = catalogue()
    known.dataset.texts.item_titles = ["same"] * 4
    with pytest.raises(UnknownId, match=r"items '000', '001', '002' and 1 more; give the id"):
        known.item_numbers(["same"])


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (Filters(where={"year": "secret"}), "none has that year; frequent ones: 1977, 1980"),
        (Filters(where=["year>1980"]), "none has such a year; there are 1977 to 1980"),
        (Filters(where=["kind!=secret"]), "none has another kind"),
        (Filters(where=["nothing!=secret"]), "none has a nothing"),
        (Filters(where=["nothing<secret"]), "none has a nothing"),
        (Filters(where=["year>1977", "year<1980"]), "none meets all of them"),
        (Filters(["001"], where={"year": "1977"}), "none meets all of them"),
        (Filters([]), "none meets all of them"),
        (Filters(where={"year": "1980"}), None),
        (Filters(), None),
    ],
)
def test_filters_that_no_item_passes_say_why_without_the_value(filters, why):
    year = [["1977"], None, ["1977"], ["1980"]]
    known = catalogue(year=year, kind=[["secret"]] * 4, nothing=[None] * 4)
    said = known.nothing_passes(filters, known.allowed(filters))
    assert said == (None if why is None else f"no item passes the filters: {why}")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (" tee ", "'Tee' is there; capitals count"),
        ("CAFE\u0301", "'Café' is there; capitals count"),
        ("te", "frequent ones: Tee, Küche, Café, TEE"),
    ],
)
def test_why_none_names_other_capitals_and_elements(kind, why):
    known = catalogue(kind=[["['Küche', 'Tee']"], ["['Küche', 'Tee']"], ["Tee|Café"], ["TEE"]])
    filters = Filters(where={"kind": kind})
    said = known.nothing_passes(filters, known.allowed(filters))
    assert said == f"no item passes the filters: none has that kind; {why}"


def test_values_that_ranges_cannot_be_compared_with_are_counted():
    known = catalogue(
        year=[["1977"], ["soon"], ["1977"], ["1980"]],
        day=[["2024-01-01"], None, ["2024-01-02"], ["2024-01-02"]],
    )
    line = "1 item has a year that is no number, and no range is met by it"
    assert known.unread(Filters(where=["year<1980", "year>3", "day<2025"])) == [line]
    assert filter_notes(known, Filters(where=["year<1980"]), None) == [line]
    for where in (["year!=1980", "year=1977"], {"year": "1977"}, None):
        assert known.unread(Filters(where=where)) == []
