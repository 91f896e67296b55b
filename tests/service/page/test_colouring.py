"""Columns as colours: categories commonest first, numbers as ranges, or nothing at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.service.page.colouring import MOST_BINS, MOST_CATEGORIES, binned, coloured

values = st.one_of(
    st.sampled_from(["a", "b", "c", "1", "2.5", "nan", "inf"]),
    st.text(max_size=4),
    st.integers(-50, 50).map(str),
)
columns = st.lists(st.lists(values, max_size=2), max_size=60)


def test_categories_are_in_order_of_how_common_they_are():
    found = coloured("genres", [["Drama"], ["Comedy", "Drama"], [], ["War"], ["Drama", "Comedy"]])
    assert found == {
        "name": "genres",
        "kind": "categories",
        "labels": ["Drama", "Comedy", "War"],
        "codes": [[0], [0, 1], [], [2], [0, 1]],
        "others": True,
    }


def test_what_is_beyond_the_colours_is_other():
    values = [[f"kind {n}"] for n in range(MOST_CATEGORIES + 3) for _ in range(20 - n)]
    found = coloured("kind", values)
    assert found is not None
    assert len(found["labels"]) == MOST_CATEGORIES
    assert found["codes"][-1] == []
    assert found["others"]


def test_names_that_hardly_repeat_are_no_categories():
    assert coloured("director", [[f"person {n}"] for n in range(100)]) is None


def test_one_category_is_none():
    assert coloured("kind", [["film"]] * 5) is None


def test_few_numbers_are_categories():
    found = coloured("stars", [["1"], ["2"], ["2"], ["3"]])
    assert found is not None
    assert found["labels"] == ["2", "1", "3"]


def test_many_numbers_are_ranges_with_about_equally_many_items():
    found = coloured("year", [[str(1901 + n)] for n in range(60)])
    assert found is not None
    assert found["kind"] == "numbers"
    assert len(found["labels"]) == MOST_BINS
    assert found["labels"][0] == "1901–1910"  # noqa: RUF001
    counts = [sum(each == [code] for each in found["codes"]) for code in range(MOST_BINS)]
    assert counts == [10] * MOST_BINS


def test_an_item_without_a_number_has_no_range():
    found = binned("year", [1.0, math.nan, 2.0, 3.0])
    assert found is not None
    assert found["codes"][1] == []
    assert found["others"]


def test_equal_numbers_are_no_ranges():
    assert binned("interactions", [4.0] * 10) is None


@given(columns)
def test_every_code_has_its_label_and_every_label_an_item(values):
    found = coloured("any", values)
    if found is not None:
        assert len(found["codes"]) == len(values)
        used = {code for each in found["codes"] for code in each}
        assert used == set(range(len(found["labels"])))
        assert len(set(found["labels"])) == len(found["labels"])
        assert found["others"] == any(each == [] for each in found["codes"])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=80))
def test_ranges_are_ordered_as_their_numbers_are(values):
    found = binned("interactions", [float(value) for value in values])
    if found is not None:
        pairs = sorted(zip(values, (each[0] for each in found["codes"]), strict=True))
        assert [code for _, code in pairs] == sorted(code for _, code in pairs)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (
            [12000.0, 12150.0, 12300.0, 12450.0, 12600.0, 12900.0],
            ["12000", "12150", "12300", "12450", "12600", "12900"],
        ),
        ([1000000 + n / 10 for n in range(0, 20, 4)], ["1000000", "1000000.4", "1000000.8"]),
        ([1.5, 2.0, 3.25], ["1.5", "2", "3.2"]),
        ([-0.25, 0.25, 0.0, -0.0], ["-0.2", "0", "0.2"]),
        ([3e300, 1.5e15, 2.0], ["2", "2e15", "3e300"]),
        ([0.00001234, 0.0001, 1e14], ["1.234e-5", "0.0001", "100000000000000"]),
        ([1e15 + 1, 1e15 + 2], ["1000000000000001", "1000000000000002"]),
        ([0.12345671, 0.12345672], ["0.12345671", "0.12345672"]),
    ],
)
def test_labels_have_as_many_decimals_as_tell_the_ends_apart(values, labels):
    found = binned("price", values)
    assert found is not None
    assert found["labels"][: len(labels)] == labels


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
def test_labels_of_any_numbers_are_short_and_differ(values):
    found = binned("price", values)
    if found is not None:
        assert len(set(found["labels"])) == len(found["labels"])
        assert all(len(label) <= 2 * 24 + 1 for label in found["labels"])
        ends = [float(end) for label in found["labels"] for end in label.split("–")]  # noqa: RUF001
        assert ends == sorted(ends)


def test_what_filters_take_for_no_number_is_none_here():
    for text in ("1_000", "\u0663", "1e999"):
        found = coloured("price", [[text], [text], *([str(n)] for n in range(20))])
        assert found is not None
        assert found["kind"] == "categories", text
