"""What values are worth where they are compared, and what a date covers."""

import time

import pytest

from cllm4rec.recommender.scales import Scale, number_of, seconds_of

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7.0),
        ("-7.5", -7.5),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1e999", None),
        ("nan", None),
        ("1_000", None),
        ("1,000", None),
        ("19,90", None),
        ("٣", None),
        ("", None),
        (".", None),
        ("7 kg", None),
        ("0x10", None),
    ],
)
def test_numbers(text, value):
    assert number_of(text) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", DAY),
        ("1970-01-01 00:01", 60),
        ("1970-01-01T00:00:30.5", 30.5),
        ("1970-01-01 00:00:30.123456789", 30.123456),
        ("1970-01-01 02:00:00+02", 0),
        ("1970-01-01 05:30:00+0530", 0),
        ("1970-01-01 00:00:00 UTC", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31", -DAY),
        ("2023-02-29", None),
        ("2024-1-1", None),
        ("20240101", None),
        ("2024", None),
        ("0044-03-15 (BC)", None),
        ("yesterday", None),
    ],
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


def test_a_time_without_an_offset_is_utc_wherever_one_is(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert seconds_of("1970-01-02") == DAY
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_kind_is_that_of_most_items_with_a_value():
    assert Scale.of([["5"], ["x"], ["7"], None, None, None]).kind == "number"
    assert Scale.of([["5"], ["x"]]) is None
    assert Scale.of([["2024-01-31"], ["x"], ["2024-02-01", "y"]]).kind == "date"
    assert Scale.of([["2024-01-31"], ["5"]]) is None
    assert Scale.of([["2024"], ["2023"]]).kind == "number"
    assert Scale.of([None]) is None
    assert Scale.of([["x|5"], ["7|9"]]).values.tolist() == [5, 7, 9]
    assert Scale.of([["[1995, 1996]"], ['["7"]']]).values.tolist() == [7, 1995, 1996]
    scale = Scale.of([["5"], ["x"], ["40", "-7.0"]])
    assert (scale.unread, scale.lowest, scale.highest) == (1, "-7.0", "40")


TIMES = [["2023-12-31 23:59:59"], ["2024-01-01"], ["2024-02-29 12:00:00"], ["2024-12-31"], None]


@pytest.mark.parametrize(
    ("value", "before", "until"),
    [
        ("2024", 1, 4),
        ("2024-02", 2, 3),
        ("2024-02-29", 2, 3),
        ("2024-02-29 12:00", 2, 3),
        ("2024-02-29 13:00+02:00", 2, 2),
        ("2024-12-31", 3, 4),
        ("2023-12-31", 0, 1),
        ("0001", 0, 0),
        ("9999", 4, 4),
        ("9999-12-31", 4, 4),
    ],
)
def test_a_year_a_month_or_a_day_covers_its_times(value, before, until):
    scale = Scale.of(TIMES)
    every = list(range(4))
    assert scale.passing("<", value).tolist() == every[:before]
    assert scale.passing("<=", value).tolist() == every[:until]
    assert scale.passing(">=", value).tolist() == every[before:]
    assert scale.passing(">", value).tolist() == every[until:]
    assert scale.passing("=", value).tolist() == every[before:until]


@pytest.mark.parametrize("value", ["2024-13", "2024-02-30", "24", "", "now"])
def test_what_is_no_date_passes_nothing_on(value):
    assert Scale.of(TIMES).passing("<", value) is None
