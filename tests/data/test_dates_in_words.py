"""A date that is refused because months or days are words is shown, with its mend."""

import pytest

from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


def prepared(tmp_path, value, ending):
    rows = [row | {"timestamp": "2018-06-17"} for row in small_log()]
    rows[3]["timestamp"] = value
    write_rows(tmp_path / "in", "interactions", rows, ending)
    _, report = prepare_folder(tmp_path / "in")
    assert report["refused"]["interactions"] == {"bad timestamp": 1}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "value",
    [
        "09 13, 2009",
        "Fri Sep 11 11:22:11 -0700 2015",
        "2024/02/20",
        "20 Feb 2024",
        "2024-05",
        "2024/5",
    ],
)
def test_of_amazon_and_goodreads_in_any_format(tmp_path, said, ending, value):
    prepared(tmp_path, value, ending)
    assert said == [
        f"interactions.{ending}: a timestamp such as {value} cannot be read; write ISO dates, such "
        f"as 2018-06-17 or 2018-06-17 00:00, or unix times; pandas makes such dates by "
        f"pd.to_datetime(…)"
    ]


@pytest.mark.parametrize(
    "value",
    [
        "9 3, 2009",
        "Sep 13, 2009",
        "september 13, 2009",
        "13 September 2009",
        "13-SEP-2009 10:00:00.123",
        "Sep. 3, 2009 5:07 PM",
        "Tue, 08 May 2018 07:00:00 GMT",
        "Wednesday, May 9 2018",
        "Thu Nov 23 23:59:59 +0000 2017",
    ],
)
def test_of_other_forms(tmp_path, said, value):
    prepared(tmp_path, value, "csv")
    assert [line.partition(" cannot be read")[0] for line in said] == [
        f"interactions.csv: a timestamp such as {value}"
    ]


@pytest.mark.parametrize(
    "value",
    ["Marcel 12 2009", "May Smith 12 2009", "Sunny 13 Sep 2009", "Sep 13, 2009 Anna", "12 34 5678"],
)
def test_what_may_be_a_name_or_a_number_is_not_shown(tmp_path, said, value):
    prepared(tmp_path, value, "csv")
    assert said == []
