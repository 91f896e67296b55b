"""What the service accepts is what the next ``prepare`` takes."""

import datetime

import duckdb
import pytest
from pydantic import ValidationError

from cllm4rec.data import timestamps
from cllm4rec.service.schemas import Interaction
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


def feedback(timestamp):
    row = {"user_id": "u0", "item_id": "new", "timestamp": timestamp}
    return Interaction.model_validate(row).model_dump()


@pytest.mark.parametrize("timestamp", [0, 253_402_300_799])
def test_an_accepted_timestamp_is_no_bad_timestamp(tmp_path, timestamp):
    rows = [*small_log(), feedback(timestamp)]
    write_rows(tmp_path / "in", "interactions", rows, "jsonl")
    _, report = prepare_folder(tmp_path / "in")
    assert report["refused"]["interactions"] == {}


@pytest.mark.parametrize("timestamp", [-1, 253_402_300_800, 10**12])
def test_a_timestamp_that_prepare_refuses_is_not_accepted(timestamp):
    with pytest.raises(ValidationError, match="timestamp"):
        feedback(timestamp)


def test_a_timestamp_is_accepted_where_prepare_calls_it_seconds():
    """Whatever the others of its file are: a day counts as a date but among seconds."""
    days = (datetime.date(1899, 12, 25) + datetime.timedelta(n) for n in range(0, 73_500, 37))
    numbers = [int(day.strftime("%Y%m%d")) + wrong for day in days for wrong in (0, 60, 1300)]
    numbers += [day * 10_000 + time for day in numbers for time in (0, 2359, 2400, 1260, 930)]
    numbers += [1, 9, 1_700_000_000, 19000101, 19000100, 21001231, 21001232, 197001010000]
    numbers += [210012312359, 210012312400, 240230002400, 202402291200, 202302291200]
    accepted = {number for number in numbers if timestamps.are_seconds(number)}
    code = timestamps.unit("NULL", "number::DOUBLE")
    query = f"SELECT number, {code} FROM (SELECT unnest($1::BIGINT[]) AS number)"
    rows = duckdb.execute(query, [numbers]).fetchall()
    assert accepted == {number for number, unit in rows if unit == 1}
    assert 0 < len(accepted) < len(set(numbers))


@pytest.mark.parametrize("user_id", [" ", "  ", "\t\n", "\u2003"])
def test_feedback_of_nobody_is_refused(user_id):
    with pytest.raises(ValidationError, match="blanks alone are no id"):
        Interaction.model_validate({"user_id": user_id, "item_id": "i"})
    assert Interaction.model_validate({"user_id": " u ", "item_id": "i"}).user_id == " u "
