"""What is said of the columns of a log that are not read."""

import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.log import NO_IDS
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder


def shops_log() -> list[dict]:
    """Times and ratings under names that are not known."""
    return [
        {
            "user_id": row["user_id"],
            "item_id": row["item_id"],
            "at": row["timestamp"],
            "stars": 2 + row["timestamp"] % 4,
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


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_rows_without_a_time_among_others_are_counted_and_many_are_said(tmp_path, said, ending):
    """Of twenty rows some have a position instead, which says as much."""
    for without in (0, 1, 2, 19):
        rows = [
            {
                "user_id": f"u{n % 4}",
                "item_id": f"i{n}",
                "timestamp": 1_600_000_000 + n if n >= without + 3 else None,
                "position": n if without <= n < without + 3 else None,
                "rating": 5,
            }
            for n in range(20)
        ]
        write_rows(tmp_path / str(without), "interactions", rows, ending)
        dataset, report = prepare_folder(tmp_path / str(without))
        assert report.get("without_time") == (without or None)
        assert dataset.ordered
    assert [line.partition(" usable rows")[0] for line in said] == ["2 of 20", "19 of 20"]
    assert said[0].partition(" usable rows ")[2] == (
        "have neither a timestamp nor a position: they count as older than all others, and none is "
        "held out as a user's newest while there is another; fill these in, or leave the rows out "
        "of the log"
    )


def test_a_row_without_a_time_is_the_oldest_of_its_user(tmp_path, said):
    rows = [
        {"user_id": "u", "item_id": f"i{n}", "timestamp": None if n in (2, 5) else 100 + n}
        for n in range(6)
    ]
    write_rows(tmp_path / "in", "interactions", rows)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    train, valid, test = (histories(dataset, part)["u"] for part in ("train", "valid", "test"))
    assert (set(train[:2]), train[2:], valid, test) == ({"i2", "i5"}, ["i0", "i1"], ["i3"], ["i4"])
    assert report["without_time"] == 2


def test_a_log_without_times_counts_none(tmp_path, said):
    rows = [{key: row[key] for key in ("user_id", "item_id")} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", rows)
    assert "without_time" not in prepare_folder(tmp_path / "in")[1]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_ids_that_likely_mean_none_are_counted_and_stay(tmp_path, said, ending):
    log = [*small_log(), *({"user_id": "u1", "item_id": each} for each in NO_IDS)]
    log += [{"user_id": "nan", "item_id": "i1"}, {"user_id": "", "item_id": "i1"}]
    log += [{"user_id": "u2", "item_id": "Nan"}]  # a name
    write_rows(tmp_path / "in", "interactions", [row | {"timestamp": 1} for row in log], ending)
    dataset, _ = prepare_folder(tmp_path / "in", catalogue="interactions")
    assert set(NO_IDS) <= set(dataset.items.external.to_pylist())
    means = "which likely means none and counts as an id; leave it empty there"
    assert said[:2] == [
        f"1 row has nan, None, NULL or the like as user_id, {means}",
        f"7 rows have nan, None, NULL or the like as item_id, {means}",
    ]
