"""Lists as CSV, read back by other readers than ours, beside the same lists as Parquet."""

import csv

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError
from cllm4rec.ranking import RankedItems, is_topk_file, refuse_file
from cllm4rec.ranking import lists as ranked_lists
from support.ids import id_map

INF = float("inf")
USERS = id_map(["007", "a, user", "😀\n'\""], "user")
ITEMS = id_map(["7", "B|00", "x" * 10_000, "ü"], "item")


@pytest.fixture
def lists() -> RankedItems:
    items = np.array([[3, 0], [2, -1], [-1, -1], [1, 2]], np.int32)
    scores = np.array([[1 / 3, -1e-30], [-7.25, -INF], [-INF, -INF], [3e38, 0.1]], np.float32)
    return RankedItems(np.array([2, 0, 1, 1], np.int32), items, scores)


@pytest.mark.parametrize("row_group", [1, 3, 1 << 16])
@pytest.mark.parametrize("name", ["top.csv", "top.CSV"])
def test_csv_has_what_parquet_has(lists, tmp_path, monkeypatch, row_group, name):
    monkeypatch.setattr(ranked_lists, "ROW_GROUP", row_group)
    lists.write(tmp_path / "top.parquet", USERS, ITEMS)
    lists.write(tmp_path / name, USERS, ITEMS)
    expected = pq.read_table(tmp_path / "top.parquet").to_pylist()
    assert len(expected) == 5
    with (tmp_path / name).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["user_id", "item_id", "rank", "score"]
    assert [
        {"user_id": user, "item_id": item, "rank": int(rank), "score": np.float32(score)}
        for user, item, rank, score in rows
    ] == expected
    kinds = {"user_id": str, "item_id": str, "rank": int, "score": np.float32}
    assert pd.read_csv(tmp_path / name, dtype=kinds).to_dict("records") == expected
    types = "{user_id: 'VARCHAR', item_id: 'VARCHAR', rank: 'INTEGER', score: 'FLOAT'}"
    found = duckdb.sql(f"FROM read_csv('{tmp_path / name}', columns = {types}, header = true)")
    assert found.fetchall() == [tuple(row.values()) for row in expected]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_score_reads_as_the_same_float32(tmp_path, scores):
    values = np.array([scores], np.float32)
    items = np.zeros((1, len(scores)), np.int32)
    RankedItems(np.array([0], np.int32), items, values).write(tmp_path / "top.csv", USERS, ITEMS)
    with (tmp_path / "top.csv").open(encoding="utf-8", newline="") as file:
        read = np.array([row["score"] for row in csv.DictReader(file)], np.float32)
    assert (read == values[0]).all()


def test_an_interrupted_write_leaves_the_older_file(lists, tmp_path):
    path = tmp_path / "top.csv"
    path.write_text("older")
    with pytest.raises(IndexError):
        lists.write(path, id_map(["one user"]), ITEMS)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_no_lists_are_a_header(tmp_path):
    RankedItems.empty(np.array([0], np.int32), 3).write(tmp_path / "top.csv", USERS, ITEMS)
    assert (tmp_path / "top.csv").read_text() == "user_id,item_id,rank,score\n"
    assert is_topk_file(tmp_path / "top.csv")


def test_only_lists_of_the_names_own_form_are_replaced(lists, tmp_path):
    lists.write(tmp_path / "top.parquet", USERS, ITEMS)
    lists.write(tmp_path / "top.csv", USERS, ITEMS)
    for name in ("top.csv", "top.parquet"):
        refuse_file(tmp_path / name)
    (tmp_path / "mine.csv").write_text("user_id,item_id,rank,score,mine\n")
    (tmp_path / "other.csv").write_bytes((tmp_path / "top.parquet").read_bytes())
    (tmp_path / "other.parquet").write_bytes((tmp_path / "top.csv").read_bytes())
    for name in ("mine.csv", "other.csv", "other.parquet"):
        with pytest.raises(InputError, match="exists and is not a top-k file"):
            refuse_file(tmp_path / name)


def test_csv_is_not_scored_and_the_line_says_what_is(lists, tmp_path):
    lists.write(tmp_path / "top.csv", USERS, ITEMS)
    line = "is CSV, and lists are scored as Parquet: write them with --out FILE.parquet, or convert"
    with pytest.raises(InputError, match=line):
        RankedItems.read(tmp_path / "top.csv", USERS, ITEMS, 2)
