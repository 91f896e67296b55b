"""Filters as Python takes them."""

import numpy as np
import pytest

from cllm4rec.errors import InputError
from cllm4rec.recommender.arguments import filters_of
from cllm4rec.recommender.catalogue import Filters


@pytest.mark.parametrize(
    "where",
    [
        None,
        {"genre": "a"},
        {"year": 1995, "price": 78.82},
        {"year": np.int64(1995)},
        ["price<20", "year>=1990"],
        ("price<20",),
        [],
        {},
    ],
)
def test_conditions_are_kept_as_they_are_given(where):
    kept = filters_of(None, None, where, False).where
    assert kept == (tuple(where) if isinstance(where, list) else where)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("price<20", r"where is a str; give a dict, such as .*, or a list, such as \['price<20'\]"),
        ({"price<20"}, "where is a set; give a dict"),
        (5, "where is an int; give a dict"),
        (["price<20", 5], "where holds 5, an int; give a text or a number for an attribute"),
        ({1995: "year"}, "where holds 1995, an int; give"),
        ({"new": True}, "where holds True, a bool; give"),
        ({"price": float("nan")}, "where holds nan, a float; give"),
        ({"year": ["1995"]}, r"where holds \['1995'\], a list; give"),
    ],
)
def test_conditions_that_are_none(where, said):
    with pytest.raises(InputError, match=said):
        filters_of(None, None, where, False)


def test_nothing_given_filters_nothing():
    assert filters_of(None, None, None, False) == Filters()
