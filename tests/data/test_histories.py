"""Histories of strangers: sorted as ``prepare`` sorts, and what cannot be used is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import DataConfig
from cllm4rec.data.histories import read_histories
from cllm4rec.errors import InputError
from support.examples import examples
from support.ids import id_map
from support.input_folder import write_rows
from support.prepared import histories, prepare_folder

CONFIG = DataConfig(memory_limit="128MB")
ITEMS = id_map([f"i{n}" for n in range(9)], "item")


def read(tmp_path, rows, name="histories", ending="parquet", **settings):
    path = write_rows(tmp_path, name, rows, ending)
    config = CONFIG.changed(**settings)
    users, found, left_out = read_histories(path, ITEMS, tmp_path / "sorted", config)
    lists = {users.id(row): ITEMS.ids(found.of(row)) for row in range(found.num_users)}
    return lists, left_out


def row(user, item, **more):
    return {"user_id": user, "item_id": item, **more}


def test_histories_stand_oldest_first_by_timestamp_then_position_then_file(tmp_path):
    rows = [
        row("b", "i3", timestamp=5, position=2),
        row("a", "i1", timestamp=9, position=0),
        row("b", "i0", timestamp=5, position=1),
        row("a", "i2", timestamp=1, position=7),
        row("b", "i7", timestamp=5, position=2),
    ]
    assert read(tmp_path, rows) == ({"a": ["i2", "i1"], "b": ["i0", "i3", "i7"]}, {})


def test_histories_may_be_partitions(tmp_path):
    parts = [[row("a", "i5"), row("b", "i2")], [row("a", "i1")]]
    for number, rows in enumerate(parts):
        write_rows(tmp_path / "parts", f"part-{number}", rows)
    users, found, _ = read_histories(tmp_path / "parts", ITEMS, tmp_path / "sorted", CONFIG)
    assert [ITEMS.ids(found.of(row)) for row in range(len(users))] == [["i5", "i1"], ["i2"]]


@pytest.mark.parametrize("folder", ["user_id=77", "data[1]", "star*"])
def test_the_name_of_a_folder_is_nothing_but_a_name(tmp_path, folder):
    for beside in ("data1", "star2"):
        write_rows(tmp_path / beside, "histories", [row("a", "i8")])
    lists, _ = read(tmp_path / folder, [row("a", "i1"), row("b", "i2")])
    assert lists == {"a": ["i1"], "b": ["i2"]}


def test_without_a_time_the_order_is_the_files(tmp_path):
    rows = [row("a", "i5"), row("a", "i1"), row("a", "i4")]
    assert read(tmp_path, rows)[0] == {"a": ["i5", "i1", "i4"]}


def test_items_of_one_time_stand_as_in_training(tmp_path):
    rows = [row(user, f"i{item}", timestamp=item // 4) for user in "ab" for item in range(8)]
    write_rows(tmp_path / "in", "interactions", rows)
    split = [{**each, "part": "train"} for each in rows]
    write_rows(tmp_path / "in", "split", split)
    dataset, _ = prepare_folder(tmp_path / "in", split=tmp_path / "in" / "split.parquet")
    trained = histories(dataset, "train")
    assert read(tmp_path, rows[::-1])[0] == trained
    assert sorted(trained["a"][:4]) == [f"i{item}" for item in range(4)]
    assert trained["a"] != sorted(trained["a"])


def test_numbers_are_ids_too(tmp_path):
    rows = [row(7, "i1", position=0), row(10, "i2", position=0)]
    assert read(tmp_path, rows)[0] == {"10": ["i2"], "7": ["i1"]}


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path):
    rows = [
        row("a", "i1", timestamp=1.0),
        row("a", "gone", timestamp=2.0),
        row("only unknown", "gone", timestamp=2.0),
        row("a", "i2", timestamp=-5.0),
        row(None, "i2", timestamp=3.0),
    ]
    lists, left_out = read(tmp_path, rows)
    assert lists == {"a": ["i1"]}
    assert left_out == {"bad timestamp": 1, "no user_id": 1, "unknown item": 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("a", "gone")], r"no row of .*histories.parquet can be used \(unknown item: 1\)"),
        ([{"user": "a", "item_id": "i1"}], "has no column 'user_id'"),
    ],
)
def test_a_file_that_says_nothing_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, rows)
    assert "\n" not in str(caught.value)


MAPPED = {"columns": {"user_id": "customer", "item_id": "sku", "timestamp": "at", "title": "name"}}
TWO = [("a", "i2", 5), ("a", "i1", 4)]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "names",
    [("customer", "sku", "at"), ("user_id", "item_id", "timestamp"), ("user_id", "sku", "at")],
)
def test_columns_are_called_as_in_the_runs_data_or_by_their_own_names(tmp_path, names, ending):
    rows = [dict(zip(names, values, strict=True)) for values in TWO]
    assert read(tmp_path, rows, ending=ending, **MAPPED) == ({"a": ["i1", "i2"]}, {})


def test_a_csv_file_is_written_as_the_runs_data_are(tmp_path):
    path = tmp_path / "histories.csv"
    path.write_bytes("user_id;item_id\né;i1\n".encode("cp1252"))
    with pytest.raises(InputError) as caught:
        read_histories(path, ITEMS, tmp_path / "sorted", CONFIG)
    assert "--set" not in str(caught.value)
    assert "make it UTF-8, or write it as the run's data are written" in str(caught.value)
    config = CONFIG.changed(csv_separator=";", csv_encoding="cp1252")
    users, _, _ = read_histories(path, ITEMS, tmp_path / "sorted", config)
    assert users.id(0) == "é"


def test_what_is_missing_is_named_by_every_name_that_it_may_have(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, [{"who": "a", "item_id": "i1"}], **MAPPED)
    assert str(caught.value) == (
        f"{tmp_path / 'histories.parquet'} has no column 'customer' or 'user_id' "
        f"(it has who, item_id); rename the column that is meant"
    )


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file at"):
        read_histories(tmp_path / "none.parquet", ITEMS, tmp_path / "sorted", CONFIG)


@given(
    pairs=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 8), st.integers(0, 3)),
        min_size=1,
        max_size=60,
    )
)
@examples(12)  # of many users each
def test_histories_are_what_prepare_would_have_made_of_the_log(tmp_path_factory, pairs):
    tmp_path = tmp_path_factory.mktemp("log")
    rows = [row(user, f"i{item}", timestamp=time) for user, item, time in pairs]
    write_rows(
        tmp_path / "source", "items", [{"item_id": item} for item in ITEMS.external.to_pylist()]
    )
    write_rows(tmp_path / "source", "interactions", rows)
    split = write_rows(tmp_path, "split", [{**pair, "part": "train"} for pair in unique(rows)])
    dataset, _ = prepare_folder(tmp_path / "source", split=split, catalogue="all")
    lists, _ = read(tmp_path, rows)
    assert lists == histories(dataset, "train")


def unique(rows):
    return [dict(x) for x in {(("user_id", r["user_id"]), ("item_id", r["item_id"])) for r in rows}]
