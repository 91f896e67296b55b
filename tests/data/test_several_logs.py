"""Several files of interactions are one log."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cllm4rec.config import DataConfig
from cllm4rec.data.recipe import recipe
from cllm4rec.errors import InputError
from cllm4rec.service.feedback import FeedbackLog
from cllm4rec.service.schemas import Interaction
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder


def with_iso_times(rows):
    return [
        row | {"timestamp": datetime.fromtimestamp(row["timestamp"], UTC).isoformat()}
        for row in rows
    ]


def prepared(folder, **changes):
    dataset, report = prepare_folder(folder, protocol="leave-last-out", **changes)
    return [histories(dataset, part) for part in ("train", "valid", "test")], report


def test_yesterdays_log_beside_the_services_feedback(tmp_path):
    """ISO times in the one, seconds in the other; columns mapped in the one alone."""
    folder = tmp_path / "in"
    log = [
        {"customer": row["user_id"], "sku": row["item_id"], "at": row["timestamp"]}
        for row in with_iso_times(small_log())
    ]
    write_rows(folder, "interactions", log, "csv")
    sent = [Interaction(user_id=user, item_id="new", timestamp=2000) for user in ("u0", "u9")]
    service = FeedbackLog(tmp_path / "feedback")
    write_rows(folder, "interactions", service.rows_of(sent), "jsonl")
    service.close()
    columns = {"user_id": "customer", "item_id": "sku", "timestamp": "at"}
    (train, _, test), report = prepared(folder, columns=columns)
    assert test["u0"] == ["new"]
    assert test["u1"] == ["i6"]
    assert len(train["u0"]) == 5
    assert report["timestamp_unit"] == "dates, seconds"
    assert report["read_of"] == {"interactions.csv": 36, "interactions.jsonl": 2}
    assert report["refused"]["interactions"] == {}


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=36, max_size=36))
def test_a_log_cut_into_files_is_the_same_log(tmp_path_factory, place):
    tmp_path = tmp_path_factory.mktemp("cut")
    rows = small_log()
    write_rows(tmp_path / "whole" / "in", "interactions", rows)
    whole, report = prepared(tmp_path / "whole" / "in")
    names = [("interactions", "csv"), ("interactions", "jsonl"), ("interactions-b", "parquet")]
    for file, (stem, ending) in enumerate([*names, ("interactions-a.1", "csv")]):
        part = [row for row, at in zip(rows, place, strict=True) if at == file]
        if part:
            write_rows(
                tmp_path / "cut" / "in", stem, with_iso_times(part) if file else part, ending
            )
    cut, of_cut = prepared(tmp_path / "cut" / "in")
    assert cut == whole
    differ = {"timestamp_unit", "read_of"}
    assert {key: of_cut[key] for key in of_cut.keys() - differ} == {
        key: report[key] for key in report.keys() - differ
    }


def test_each_file_has_a_unit_of_its_own_and_one_row_of_another_is_refused(tmp_path):
    rows = small_log()
    rows[0]["timestamp"] = "2024-01-01"
    write_rows(tmp_path / "in", "interactions", rows, "csv")
    write_rows(tmp_path / "in", "interactions-iso", with_iso_times(small_log(8)), "jsonl")
    _, report = prepared(tmp_path / "in")
    refused = report["refused"]["interactions"]
    assert refused["timestamp not in seconds, as most are"] == 1
    assert set(refused) == {"timestamp not in seconds, as most are", "repeated pair"}


@pytest.mark.parametrize("column", ["timestamp", "position"])
def test_files_of_which_one_alone_is_in_order_are_refused(tmp_path, column):
    rows = [
        {"user_id": row["user_id"], "item_id": row["item_id"], column: row["timestamp"]}
        for row in small_log()
    ]
    write_rows(
        tmp_path / "in",
        "interactions",
        [dict(list(r.items())[:2]) | {"at": 1} for r in rows],
        "csv",
    )
    write_rows(tmp_path / "in", "interactions", rows, "jsonl")
    with pytest.raises(InputError) as error:
        prepared(tmp_path / "in")
    assert f"interactions.jsonl has a {column} and" in str(error.value)
    assert "interactions.csv has none (it has user_id, item_id, at)" in str(error.value)
    assert f"--set data.columns.{column}=NAME" in str(error.value)
    assert prepared(tmp_path / "in", columns={column: "at"})[1]["ordered"]


def test_a_file_without_a_usable_row_is_named(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(), "csv")
    bad = [row | {"timestamp": "yesterday"} for row in small_log(1)]
    write_rows(tmp_path / "in", "interactions-2", bad, "jsonl")
    with pytest.raises(
        InputError, match=r"interactions-2\.jsonl has no usable row \(bad timestamp: 6"
    ):
        prepared(tmp_path / "in")


def test_feedback_that_nobody_sent_yet_is_no_file(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(), "csv")
    alone, _ = prepared(tmp_path / "in")
    (tmp_path / "in" / "interactions.jsonl").touch()
    found, report = prepared(tmp_path / "in")
    assert found == alone
    assert "read_of" not in report


@pytest.mark.parametrize(
    ("name", "text"),
    [("csv", "user_id,item_id,timestamp\n"), ("csv", ""), ("jsonl", "\n"), ("jsonl", "")],
)
def test_a_day_without_a_visit_stops_nothing(tmp_path, name, text):
    write_rows(tmp_path / "in", "interactions", small_log())
    (tmp_path / "in" / f"interactions-today.{name}").write_text(text)
    _, report = prepared(tmp_path / "in")
    assert report["read"] == 36
    assert report.get("read_of", {"interactions.parquet": 36})["interactions.parquet"] == 36


def test_a_log_that_is_empty_altogether_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "interactions.csv").write_text("user_id,item_id,timestamp\n")
    with pytest.raises(InputError, match="no usable row"):
        prepared(tmp_path / "in")


def test_a_folder_is_read_and_what_is_not_read_is_named(tmp_path, capsys):
    rows = small_log()
    write_rows(tmp_path / "in", "interactions", rows[:20])
    write_rows(tmp_path / "in" / "interactions-old", "part-0", rows[20:])
    for name in ("interactions-b.CSV", "interactions-c.csv.gz", "interactions.tsv"):
        (tmp_path / "in" / name).write_text("user_id,item_id\n")
    _, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["read_of"] == {"interactions.parquet": 20, "interactions-old": 16}
    said = capsys.readouterr().err
    assert said.count("not read: ") == 1
    assert "not read: interactions-b.CSV, interactions-c.csv.gz, interactions.tsv;" in said


def test_other_data_beside_the_log_are_named(tmp_path, capsys):
    write_rows(tmp_path / "in", "interactions", small_log())
    write_rows(tmp_path / "in", "items", [{"item_id": "i0", "title": "A"}])
    for name in ("Users.CSV", "customers.csv", "split.parquet", "notes.md"):
        (tmp_path / "in" / name).write_text("x\n")
    pairs = [{**row, "part": "train"} for row in small_log()]
    mine = write_rows(tmp_path / "in", "mine", pairs)
    prepare_folder(tmp_path / "in", split=mine)
    assert "not read: Users.CSV, customers.csv; beside the log only items, users and reviews" in (
        capsys.readouterr().err
    )


def test_the_recipe_knows_every_file(tmp_path):
    def hashed():
        made_of = recipe(tmp_path, split=None, protocol="paper", config=DataConfig(), seed=0)
        return made_of["files"]

    write_rows(tmp_path, "interactions", small_log(), "csv")
    before = hashed()
    path = write_rows(tmp_path, "interactions-2", small_log(2), "jsonl")
    shutil.copy(path, tmp_path / "interactions.backup")
    assert set(hashed()) == {"interactions.csv", "interactions-2.jsonl"}
    with path.open("a") as file:
        file.write(json.dumps(small_log(1)[0]) + "\n")
    assert len({json.dumps(hashed()), json.dumps(before)}) == 2


@pytest.mark.parametrize(
    "name", ["interactions_late.csv", "Interactions-late.csv", "interaction-late.csv"]
)
def test_a_name_that_is_nearly_a_logs_is_answered_with_what_logs_are_called(tmp_path, name, said):
    write_rows(tmp_path / "in", "interactions", small_log())
    (tmp_path / "in" / name).write_text("user_id,item_id\nu9,i1\n", encoding="utf-8")
    prepare_folder(tmp_path / "in")
    assert said == [
        f"not read: {name}; files of one log are called interactions-NAME and end in .parquet, "
        ".csv or .jsonl"
    ]


def test_where_a_time_is_mapped_and_one_file_lacks_it_the_mend_is_another_name(tmp_path):
    for name, column in (("interactions", "at"), ("interactions-b", "At_")):
        rows = [{**row, column: row["timestamp"]} for row in small_log()]
        for row in rows:
            del row["timestamp"]
        write_rows(tmp_path / "in", name, rows)
    with pytest.raises(InputError, match=r"one name in data\.columns serves all files: rename"):
        prepare_folder(tmp_path / "in", columns={"timestamp": "at"})
