"""What the service accepts is what the next ``prepare`` takes."""

import pytest
from pydantic import ValidationError

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


@pytest.mark.parametrize("user_id", [" ", "  ", "\t\n", "\u2003"])
def test_feedback_of_nobody_is_refused(user_id):
    with pytest.raises(ValidationError, match="blanks alone are no id"):
        Interaction.model_validate({"user_id": user_id, "item_id": "i"})
    assert Interaction.model_validate({"user_id": " u ", "item_id": "i"}).user_id == " u "
