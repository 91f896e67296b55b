"""Conditions as one writes them."""

import time

import pytest

from cllm4rec.errors import InputError
from cllm4rec.recommender.conditions import Condition, conditions, recorded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("genres=Comedy", ("genres", "=", "Comedy")),
        ("a=b=c", ("a", "=", "b=c")),
        ("title=a<b", ("title", "=", "a<b")),
        ("d=", ("d", "=", "")),
        ("price<20", ("price", "<", "20")),
        ("price <= 20", ("price", "<=", " 20")),
        ("year>=1990", ("year", ">=", "1990")),
        ("year>1990", ("year", ">", "1990")),
        ("year!=1990", ("year", "!=", "1990")),
        ("temperature>-5", ("temperature", ">", "-5")),
        ("wow!<5", ("wow!", "<", "5")),
        ("two\nlines=x", ("two\nlines", "=", "x")),
    ],
)
def test_what_a_condition_says(text, expected):
    assert conditions([text]) == [Condition(*expected)]


def test_a_columns_name_may_have_any_sign_in_it():
    columns = {"Age <18", "year!", "x>", "x"}
    assert conditions(["Age <18=yes"], columns) == [Condition("Age <18", "=", "yes")]
    assert conditions(["year!=5"], columns) == [Condition("year!", "=", "5")]
    assert conditions(["x>=5"], columns) == [Condition("x>", "=", "5")]
    assert conditions(["x>5"], columns) == [Condition("x", ">", "5")]
    assert conditions(["Age <18 != no"], columns) == [Condition("Age <18", "!=", " no")]
    assert conditions(["Age <18>5"], columns) == [Condition("Age <18", ">", "5")]
    assert conditions({"a<b": "c"}) == [Condition("a<b", "=", "c")]


def test_a_columns_name_may_be_composed_or_not():
    composed, parts = "größe", "gro\u0308ße"
    for column in (composed, parts):
        for asked in (composed, parts):
            assert conditions([f"{asked}<6"], [column]) == [Condition(column, "<", "6")]
            assert conditions({asked: "6"}, [column]) == [Condition(column, "=", "6")]


def test_a_long_text_is_read_in_time():
    begun = time.process_time()
    with pytest.raises(InputError, match="is no condition"):
        conditions(["a" + " " * 1_000_000])
    assert time.process_time() - begun < 2  # what looks back at every blank takes hours


@pytest.mark.parametrize("text", ["x", "", "=x", "  =x", "<5", "price", "kind=\udcff"])
def test_what_is_no_condition(text):
    with pytest.raises(
        InputError, match=r"^where: '.*' is no condition; give COLUMN=VALUE, or !=,"
    ):
        conditions([text])


def test_several_on_one_column_are_all_to_be_met_but_two_values_are_a_slip():
    found = conditions(["price>=5", "price<20", "price!=7", "genre=a"])
    assert [each.operator for each in found] == [">=", "<", "!=", "="]
    with pytest.raises(InputError, match="'x' is given twice by =; an item has to meet each"):
        conditions(["x=1", "y=2", "x=2"])


def test_conditions_are_recorded_as_what_they_mean():
    assert recorded(None) is recorded({}) is recorded([]) is None
    assert recorded(["b=1", "a=2"]) == recorded({"a": "2", "b": "1"}) == {"a": "2", "b": "1"}
    assert recorded(["price < 20", "price<20"]) == ["price<20"]
    assert recorded(["b=1", "a<2"]) == ["a<2", "b=1"]
