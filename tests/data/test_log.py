"""What is said of the columns of a log that are not read."""

import pytest

from cllm4rec.data.dataset import Dataset
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("cllm4rec.progress.note", lines.append)
    return lines


def shops_log() -> list[dict]:
    """Times and ratings under names that are not known."""
    return [
        {
            "user_id": row["user_id"],
            "item_id": row["item_id"],
            "at": row["timestamp"],
            "stars": 1 + row["timestamp"] % 5,
        }
        for row in small_log(12, 15, 12)
    ]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_columns_that_are_not_read_are_named_with_what_follows(tmp_path, said, ending):
    write_rows(tmp_path / "in", "interactions", shops_log(), ending)
    dataset, report = prepare_folder(tmp_path / "in")
    assert said == [
        "columns of interactions not read: at, stars; no timestamp, no position: histories have no "
        "order, and what is held out is drawn at random; no rating: every interaction counts as a "
        "positive; if one of them is one, --set data.columns.timestamp=NAME or "
        '--set data.columns.rating=NAME; in Python config={"columns": {"timestamp": NAME, '
        '"rating": NAME}}'
    ]
    no_column = "no column of interactions"
    assert report["refused_columns"]["interactions"] == {"at": no_column, "stars": no_column}
    assert dataset.report() == report
    assert not dataset.ordered


def test_the_mend_that_is_named_mends_it(tmp_path, said):
    write_rows(tmp_path / "in", "interactions", shops_log())
    columns = {"timestamp": "at", "rating": "stars"}
    dataset, report = prepare_folder(tmp_path / "in", columns=columns)
    assert said == []
    assert dataset.ordered
    assert report["not_positive"] > 0
    assert report["refused_columns"]["interactions"] == {}


def test_a_log_of_known_columns_is_read_in_silence(tmp_path, said):
    for name, keys in (
        ("few", ["user_id", "item_id"]),
        ("all", ["user_id", "item_id", "timestamp"]),
    ):
        rows = [{key: row[key] for key in keys} for row in small_log()]
        write_rows(tmp_path / name, "interactions", rows)
        Dataset.load(tmp_path / name)
    assert said == []


def test_what_does_not_follow_is_not_said(tmp_path, said):
    """One column to spare beside times; and a split of one's own, which nothing is drawn for."""
    rows = [row | {"shop": "s1"} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", rows)
    prepare_folder(tmp_path / "in", protocol="leave-last-out")
    split = [{key: row[key] for key in ("user_id", "item_id")} | {"part": "train"} for row in rows]

    untimed = [
        {"user_id": row["user_id"], "item_id": row["item_id"], "at": row["timestamp"]}
        for row in rows
    ]
    write_rows(tmp_path / "in", "interactions", untimed)
    prepare_folder(tmp_path / "in", split=write_rows(tmp_path / "split", "split", split))
    assert said[0].startswith("column of interactions not read: shop; no rating: every interaction")
    assert "if it is one, --set data.columns.rating=NAME; in Python" in said[0]
    assert "timestamp" not in said[0]
    assert "histories have no order; no rating" in said[1]


def test_a_column_whose_name_another_took_is_named_too(tmp_path, said):
    rows = [row | {"at": row["timestamp"]} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", rows)
    _, report = prepare_folder(tmp_path / "in", columns={"timestamp": "at"})
    why = {"timestamp": "another column is mapped to this name"}
    assert report["refused_columns"]["interactions"] == why
    assert "not read: timestamp" in said[0]
