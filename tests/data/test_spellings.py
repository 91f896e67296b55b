"""Ids that are one another but for what tables of numbers leave behind."""

import duckdb
import pyarrow as pa
import pytest

from cllm4rec.data.spellings import SPELLINGS, respelled, spelled


@pytest.mark.parametrize(
    ("new", "known", "alike"),
    [
        ("1833", "001833", True),
        ("001833", "1833", True),
        ("1833.0", "001833", True),
        ("1833", "1833.00", True),
        ("0", "000", True),
        ("0a", "a", False),
        ("1833.5", "1833", False),
        ("18330", "1833", False),
        ("a01", "a1", False),
        ("a1 ", "a1", True),
        ("A1", "\ta1\u00a0", True),
        ("É", "é", True),
        ("a 1", "a1", False),
        (" 007.0 ", "7", True),
        ("", "0", False),
    ],
)
def test_zeros_blanks_and_capitals_are_spelling(new, known, alike):
    assert respelled([new, "other"], pa.array([known, "x"], pa.large_string())) == alike
    plain = ", ".join(spelled(SPELLINGS, f"'{text}'") for text in (new, known))
    ((one, other),) = duckdb.sql(f"SELECT {plain}").fetchall()
    assert (one == other) == alike


def test_of_none_none_is():
    assert respelled([], pa.array([], pa.large_string())) == 0
