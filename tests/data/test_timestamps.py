"""A timestamp's unit is evident from its size, or its row is refused with the unit named."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.errors import InputError
from support.input_folder import write_rows
from support.prepared import histories, prepare_folder

FORMATS = ("parquet", "csv", "jsonl")
START = 1_700_000_000
UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}


def log(stamp, count=6):
    """One user's items; later items have later times but earlier names."""
    return [
        {"user_id": "u", "item_id": f"i{count - n}", "timestamp": stamp(START + 90_000 * n)}
        for n in range(count)
    ]


def iso(pattern):
    return lambda second: datetime.datetime.fromtimestamp(second, datetime.UTC).strftime(pattern)


def order(tmp_path, rows, ending="parquet"):
    """The user's items, oldest first, and the report."""
    write_rows(tmp_path / "in", "interactions", rows, ending)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    parts = [histories(dataset, part)["u"] for part in ("train", "valid", "test")]
    return [item for part in parts for item in part], report


def write_stamps(tmp_path, items, stamps):
    table = pa.table({"user_id": ["u"] * len(items), "item_id": items, "timestamp": stamps})
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "interactions.parquet")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_seen_by_its_size(tmp_path, name, ending):
    rows = log(lambda second: second * UNITS[name])
    found, report = order(tmp_path, rows[::-1], ending)
    assert found == [row["item_id"] for row in rows]
    assert report["timestamp_unit"] == name
    assert report["refused"]["interactions"] == {}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "pattern",
    ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ",
     "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S+00:00", "%Y%m%d", "%Y%m%d%H%M",
     "%Y%m%d%H%M%S"],
)  # fmt: skip
def test_iso_dates_are_read(tmp_path, pattern, ending):
    rows = log(iso(pattern))
    found, report = order(tmp_path, rows[::-1], ending)
    assert found == [row["item_id"] for row in rows]
    assert report["timestamp_unit"] == "dates"
    assert report["refused"]["interactions"] == {}


def test_an_offset_counts(tmp_path):
    texts = ["2024-01-01T05:00:00+05:30", "2024-01-01T00:00:00Z", "2024-01-01 00:30",
             "2023-12-31T20:00:00-0500", "2024-01-01 02:30:00 +0100", "2023-12-31 20:45 -05:00",
             "2024-01-01T04:00:00.5 +02"]  # fmt: skip
    rows = [{"user_id": "u", "item_id": f"i{n}", "timestamp": x} for n, x in enumerate(texts)]
    assert order(tmp_path, rows[::-1])[0] == [f"i{n}" for n in range(7)]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.float64()])
def test_calendar_days_as_numbers_are_dates(tmp_path, kind):
    days = pa.array([20240131, 20231231, 20240201, 20230630]).cast(kind)
    write_stamps(tmp_path, list("abcd"), days)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["timestamp_unit"] == "dates"
    assert histories(dataset, "test")["u"] == ["c"]


def test_days_as_numbers_mix_with_iso_dates_and_not_with_seconds(tmp_path):
    mixed = ["20240105", "2024-01-04", "2024-01-06T12:00", "20240101", "2024-01-02"]
    write_stamps(tmp_path, list("abcde"), mixed)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["refused"]["interactions"] == {}
    assert histories(dataset, "train")["u"] == ["d", "e", "b"]


def test_in_a_log_of_seconds_eight_digits_are_seconds(tmp_path):
    write_stamps(tmp_path, list("abcde"), [20240101, 1, 20239999, 30_000_000, 2])
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["timestamp_unit"] == "seconds"
    assert report["refused"]["interactions"] == {}
    assert histories(dataset, "train")["u"] == ["b", "e", "c"]


@pytest.mark.parametrize(
    ("stamps", "unit"),
    [
        ([20240229235959, 20240220190000, 19700101000000], "dates"),
        ([202402292359, 202402201900, 197001010000], "dates"),
        ([20249929235959, 20248820190000, 20240220190060], "milliseconds"),
        ([202499292359, 202488201900, 202402200061], "seconds"),
    ],
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_times_as_numbers_are_dates_where_they_can_be(tmp_path, stamps, unit, kind):
    write_stamps(tmp_path, list("abc"), pa.array(stamps, pa.int64()).cast(kind))
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["timestamp_unit"] == unit
    assert [histories(dataset, part)["u"] for part in ("train", "valid", "test")] == ([
        ["c"],
        ["b"],
        ["a"],
    ])


def test_a_time_as_a_number_is_the_same_time_in_another_file(tmp_path):
    for name, items, stamps in (
        ("", "abc", [20240220190000, 20240101000000, 20240301000000]),
        ("-later", "de", [1_708_455_601, 1_708_455_599]),  # a second after and before the first
    ):
        rows = [
            {"user_id": "u", "item_id": x, "timestamp": at}
            for x, at in zip(items, stamps, strict=True)
        ]
        write_rows(tmp_path / "in", f"interactions{name}", rows, "csv")
    dataset, _ = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    parts = [histories(dataset, part)["u"] for part in ("train", "valid", "test")]
    assert [item for part in parts for item in part] == list("beadc")


@pytest.mark.parametrize(
    ("stamps", "said_so"),
    [
        ([2022, 2024, 2023], True),
        ([202212, 202401, 202301], True),
        ([45342.79, 45300, 0], True),
        ([1, 2, 3], False),
        ([2022, 2024, 1_700_000_000], False),
    ],
)
def test_years_months_and_days_of_spreadsheets_are_said(tmp_path, said, stamps, said_so):
    write_stamps(tmp_path, list("abc"), pa.array(stamps, pa.float64()))
    prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert (
        said
        == [
            "interactions.parquet: all timestamps lie on the first three days of 1970, so they are "
            "likely no unix times but years, months or a spreadsheet's days; write ISO dates, in "
            'pandas of such days by pd.to_datetime(column, unit="D", origin="1899-12-30")'
        ]
        * said_so
    )


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ns", tz="UTC"), pa.date32(),
                                  pa.date64()])  # fmt: skip
def test_date_types_are_read(tmp_path, kind):
    moments = pa.array([86_400 * n for n in (3, 1, 2)], pa.timestamp("s")).cast(kind)
    write_stamps(tmp_path, list("abc"), moments)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["timestamp_unit"] == "dates"
    assert histories(dataset, "test")["u"] == ["a"]


@pytest.mark.parametrize(
    ("most", "other"),
    [("milliseconds", START), ("seconds", START * 1000), ("microseconds", START * 1000),
     ("milliseconds", "2024-01-01"), ("milliseconds", 20240101)],
)  # fmt: skip
def test_a_row_in_another_unit_is_refused_with_the_unit_named(tmp_path, most, other):
    rows = [
        *log(lambda second: str(second * UNITS[most])),
        {"user_id": "u", "item_id": "other", "timestamp": str(other)},
        {"user_id": "u", "item_id": "zero", "timestamp": "0"},
    ]
    found, report = order(tmp_path, rows, "csv")
    assert report["refused"]["interactions"] == {f"timestamp not in {most}, as most are": 1}
    assert found == ["zero", *(row["item_id"] for row in rows[:6])]


@pytest.mark.parametrize("text", ["31/12/2024", "2024-13-01", "2024-02-30", "infinity", "2024",
                                  "2024-01-01 (BC)", "1969-12-31", "10000-01-01"])  # fmt: skip
def test_what_is_no_date_is_refused(tmp_path, text):
    rows = [*log(iso("%Y-%m-%d")), {"user_id": "u", "item_id": "bad", "timestamp": text}]
    reason = "timestamp not in dates, as most are" if text == "2024" else "bad timestamp"
    assert order(tmp_path, rows)[1]["refused"]["interactions"] == {reason: 1}


@pytest.mark.parametrize(
    ("stamps", "counts"),
    [
        ([START, START + 1, START * 1000, START * 1000 + 1], "2 in seconds, 2 in milliseconds"),
        ([START, START * 1000, "2024-01-01", "2024-01-02", 0],
         "2 in dates, 1 in seconds, 1 in milliseconds"),
    ],
)  # fmt: skip
def test_where_no_unit_has_more_than_half_the_file_is_refused(tmp_path, stamps, counts):
    rows = [{"user_id": "u", "item_id": f"i{n}", "timestamp": str(x)} for n, x in enumerate(stamps)]
    with pytest.raises(InputError) as refused:
        order(tmp_path, rows, "csv")
    assert str(refused.value) == (
        f"{tmp_path / 'in' / 'interactions.csv'}: its timestamps are {counts}, none of them most; "
        f"write all in one unit, or each unit's rows to a file of its own, interactions-NAME.csv"
    )


def test_the_mend_that_is_named_mends_it(tmp_path):
    rows = log(lambda second: second)
    for name, some in (("interactions", rows[:3]), ("interactions-later", rows[3:])):
        by = 1000 if name == "interactions-later" else 1
        scaled = [row | {"timestamp": row["timestamp"] * by} for row in some]
        write_rows(tmp_path / "in", name, scaled, "csv")
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["timestamp_unit"] == "seconds, milliseconds"
    assert histories(dataset, "test")["u"] == [rows[-1]["item_id"]]


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([0.5, 999, 500], ("1970-01-01 00:00", "1970-01-01 00:16")),
        (
            [1_700_000_000_000, 1_700_086_399_999, 1_700_000_000_001],
            ("2023-11-14 22:13", "2023-11-15 22:13"),
        ),
        (
            ["2024-01-01T05:00:00+05:30", "1970-01-01", "1970-12-31"],
            ("1970-01-01 00:00", "2023-12-31 23:30"),
        ),
    ],
)
def test_the_report_says_from_when_to_when(tmp_path, stamps, times):
    """Whether a column called timestamp is one, a person sees at once."""
    write_stamps(tmp_path, list("abc"), stamps)
    report = prepare_folder(tmp_path / "in", protocol="leave-last-out")[1]
    assert report["times"] == dict(zip(("from", "to"), times, strict=True))


def test_without_timestamps_there_is_no_unit(tmp_path):
    write_rows(tmp_path / "in", "interactions", [{"user_id": "u", "item_id": x} for x in "abcde"])
    report = prepare_folder(tmp_path / "in")[1]
    assert report["timestamp_unit"] is None
    assert "times" not in report
