"""Items that meet a condition on an attribute, against plain loops over the same values."""

import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError
from cllm4rec.recommender.attributes import Attribute
from cllm4rec.recommender.conditions import Condition

values = st.none() | st.lists(st.sampled_from(["a", "b", " a", "a|b", "a, b", "a,c", "|"]))
RANGES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def meeting(attribute: Attribute, sign: str, value: str) -> list[int]:
    return np.flatnonzero(attribute.meeting(Condition("price", sign, value))).tolist()


def test_a_value_is_found_as_a_whole_and_by_its_parts():
    genres = Attribute([
        ["Action|Comedy"],
        ["Comedy, War"],
        ["Comedy, noir", "War"],
        ["Comedy noir"],
        None,
    ])
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
        assert genres.matching(value).tolist() == items, value
        assert meeting(genres, "=", value) == items, value
        assert meeting(genres, "!=", value) == sorted({0, 1, 2, 3} - set(items)), value
    assert genres.of(2) == "Comedy, noir, War"


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
    others = [item for item, given_values in enumerate(column) if given_values]
    assert meeting(Attribute(column), "!=", wanted) == [i for i in others if i not in found]


numbers = st.sampled_from(["3", "-7", "20.5", "1e3", ".5", "3.0", "0"])


@given(
    st.lists(st.none() | st.lists(numbers, min_size=1, max_size=2), max_size=8),
    numbers,
    st.sampled_from(sorted(RANGES)),
)
def test_ranges_are_met_by_any_of_an_items_numbers(column, wanted, sign):
    expected = [
        item
        for item, given_values in enumerate(column)
        if any(RANGES[sign](float(each), float(wanted)) for each in given_values or ())
    ]
    assert meeting(Attribute(column), sign, f" {wanted} ") == expected


def test_a_number_or_a_time_is_found_as_the_same_in_other_letters():
    price = Attribute([["20.5"], ["007"], None, ["-3"]])
    assert [meeting(price, "=", each) for each in ("20.50", "7", "-3.0", "8")] == [
        [0],
        [1],
        [3],
        [],
    ]
    assert meeting(price, "!=", "20.50") == [1, 3]
    twice = Attribute([["20.5"], ["20.50"], None, ["21"]])
    for value in ("20.5", "20.50", "2.05e1"):
        assert meeting(twice, "=", value) == [0, 1]
        assert meeting(twice, "!=", value) == [3]
    assert meeting(Attribute([["7"], ["007"], ["x"]]), "=", "7") == [0, 1]
    assert meeting(Attribute([["7"], ["007"], ["x"], ["y"]]), "=", "7") == [0]  # no numbers
    day = Attribute([["2024-01-31 12:00:00"], ["2024-02-01"]])
    assert meeting(day, "=", "2024-01-31") == [0]
    times = Attribute([["2024-01-31T12:00Z"], ["2024-01-31 13:00+01:00"], ["2024-02-01"]])
    assert meeting(times, "=", "2024-01-31T12:00Z") == [0, 1]
    assert meeting(times, "!=", "2024-01-31T12:00Z") == [2]


def test_whole_numbers_are_compared_in_full():
    first = 100_000_000_000_000_001
    code = Attribute([[str(first + 2)], [str(first)], [f"{first}.0"], [f"{first}|x"]])
    assert code.scale.lowest.startswith(str(first))
    assert (meeting(code, "=", str(first)), meeting(code, "!=", str(first))) == ([1, 2, 3], [0])
    assert (meeting(code, "<", str(first)), meeting(code, ">", str(first))) == ([], [0])
    between = str(first + 1)
    assert (meeting(code, "=", between), meeting(code, "!=", between)) == ([], [0, 1, 2, 3])
    for sign in ("<", "<="):
        assert meeting(code, sign, between) == [1, 2, 3]
    for sign in (">", ">="):
        assert meeting(code, sign, between) == [0]


@given(
    st.lists(
        st.sampled_from(["9007199254740992", "9007199254740993", "9007199254740993.0",
                         "9007199254740994", ".1", "0.10", "0.10000000000000000001", "-0", "0"]),
        min_size=1,
    ),
    st.data(),
)  # fmt: skip
def test_numbers_are_compared_as_written(column, data):
    wanted = data.draw(st.sampled_from([*column, "9007199254740993.5", "0.1"]))
    for sign, compare in {**RANGES, "=": operator.eq, "!=": operator.ne}.items():
        expected = [
            item for item, each in enumerate(column) if compare(Fraction(each), Fraction(wanted))
        ]
        assert meeting(Attribute([[each] for each in column]), sign, wanted) == expected, sign


def test_an_accent_is_the_same_however_it_is_coded():
    composed, apart = "Caf\u00e9", "Cafe\u0301"
    category = Attribute([[composed], [f"{apart}|Bar"], ["Tea"]])
    for value in (composed, apart):
        assert meeting(category, "=", value) == [0, 1]
        assert meeting(category, "!=", value) == [2]
    assert meeting(Attribute([[r'["Cafe\u0301"]']]), "=", composed) == [0]
    assert category.frequent(3) == [composed, "Bar", "Tea"]
    assert [category.of(item) for item in (0, 1)] == [composed, f"{apart}|Bar"]


def test_what_is_no_number_among_numbers_meets_no_range():
    price = Attribute([["5"], ["on request"], ["19"], None, ["7"]])
    assert meeting(price, "<", "10") == [0, 4]
    assert meeting(price, ">=", "0") == [0, 2, 4]
    assert meeting(price, "!=", "5") == [1, 2, 4]
    assert price.scale.unread == 1


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            [["crime"], ["3"]],
            "5",
            "where price<5: price is text, such as 'crime'; compare it by = or !=, or have numbers "
            "or whole dates, such as 2024-05-01, in it",
        ),
        ([["2024-05"], ["2024-06"]], "2024-07", "or whole dates, such as 2024-05-01, in it"),
        ([["19,90"]], "5", "price has decimal commas, such as '19,90'"),
        ([["$3"]], "5", "price is text, such as '$3'"),
        ([["['a']"], ["['a']"], ["['b']"]], "5", "price is text, such as 'a'"),
        ([["[]"], ["[None]"]], "5", "price is text, such as '[]'"),
        (
            [["5"], ["82.25"]],
            "che\nap",
            "where price<che ap: price has numbers; give a number, such as price<82.25",
        ),
        ([["5"]], "", "where price<: price has numbers; give a number, such as price<5"),
        ([["5"]], "nan", "price has numbers; give a number"),
        (
            [["2024-01-31"]],
            "20240131",
            "price has dates; give a date, such as price<2024-01-31",
        ),
        ([["2024-01-31"]], "2024-13", "price has dates; give a date"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(column, value, said):
    with pytest.raises(InputError) as refused:
        meeting(Attribute(column), "<", value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert meeting(Attribute(column), "=", value) == []


def test_a_column_without_a_value_meets_nothing():
    for sign in (*RANGES, "=", "!="):
        assert meeting(Attribute([None, None]), sign, "5") == []


def test_a_decimal_comma_is_said():
    prices = Attribute([["57,46"], ["46,91"], ["1.5"], None, ["7,50"]])
    with pytest.raises(InputError, match="price has decimal commas, such as '57,46'"):
        meeting(prices, "<", "20")
    with pytest.raises(InputError, match=r"price is text, such as '1'"):
        meeting(Attribute([["1,000"], ["1,2,3"], ["a"]]), "<", "20")


def test_a_decimal_comma_separates_nothing():
    prices = Attribute([["57,46"], ["46,91"], ["50,57|60,00"], None, ["57,10"]])
    assert meeting(prices, "=", "57,46") == [0]
    assert meeting(prices, "=", "57") == []
    assert meeting(prices, "=", "60,00") == [2]
    assert meeting(Attribute([["57,a"], ["46,91"], ["b"]]), "=", "57") == [0]


@pytest.mark.parametrize("text", ['["Action", "Film, noir"]', "['Action', 'Film, noir']"])
def test_a_list_written_as_text_has_its_elements(text):
    kinds = Attribute([
        [text],
        ['["Comedy"]'],
        ["[Comedy]"],
        ["Action|Comedy"],
        [" [] "],
        ["[1, 2]"],
    ])
    assert meeting(kinds, "=", "Action") == [0, 3]
    assert meeting(kinds, "=", "Film, noir") == [0]
    assert meeting(Attribute([["[\"Rock 'n' roll\", 'Pop']"]]), "=", "Rock 'n' roll") == [0]
    assert meeting(kinds, "=", "Comedy") == [1, 2, 3]
    assert meeting(kinds, "=", "2") == [5]
    assert meeting(kinds, "=", '"Comedy"') == []
    assert meeting(kinds, "=", text) == [0]
    assert meeting(kinds, "=", "[Comedy]") == [2]
    assert meeting(Attribute([["['']"]]), "=", "") == [], "nothing is no element"
    assert meeting(kinds, "!=", "Action") == [1, 2, 4, 5]
    assert kinds.elements_of(0) == ["Action", "Film, noir"]
    assert kinds.elements_of(3) == ["Action", "Comedy"]
    assert kinds.elements_of(4) == []
    quoted = Attribute([[r'["a \"b\", c", "d"]'], [r"['it\'s', 'd']"], None])
    assert [quoted.elements_of(item) for item in range(3)] == [['a "b", c', "d"], ["it's", "d"], []]
