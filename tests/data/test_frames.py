"""Frames of any library give the data that the same rows in files give."""

import datetime
import math
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.run import sha256_files
from support.examples import examples
from support.input_folder import small_log, write_rows
from support.prepared import histories

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.Table.from_pylist}
ITEMS = [{"item_id": f"i{n}", "title": f"T{n}" if n else None, "tags": ["a", f"b{n}"]}
         for n in range(8)]  # fmt: skip
USERS = [{"user_id": f"u{n}", "age": 20 + n} for n in range(6)]
REVIEWS = [{**row, "text": "good"} for row in small_log()]
FEW = DataConfig(minimum_interactions=1)


def everything(dataset: Dataset) -> dict[str, object]:
    """Whatever the prepared files say."""
    texts, report = dataset.texts, dataset.report()
    parts = {part: histories(dataset, part) for part in ("train", "valid", "test", "history")}
    reviews = [text for *_, found in texts.reviews() for text in found]
    words = (texts.item_titles, texts.item_texts, texts.item_features, texts.user_features)
    return {"report": report, "parts": parts, "words": words, "reviews": reviews}


@pytest.mark.parametrize("library", LIBRARIES)
def test_all_four_frames_give_what_files_give(tmp_path, library):
    given = {"interactions": small_log(), "items": ITEMS, "users": USERS, "reviews": REVIEWS}
    for stem, rows in given.items():
        write_rows(tmp_path / "in", stem, rows)
    frames = {stem: LIBRARIES[library](rows) for stem, rows in given.items()}
    expected = Dataset.load(tmp_path / "in", protocol="leave-last-out", seed=3)
    found = Dataset.from_frames(**frames, protocol="leave-last-out", seed=3)
    assert everything(found) == everything(expected)
    assert sha256_files(found.folder, ".") == sha256_files(expected.folder, ".")


IDS = st.one_of(
    st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "007", "", "é😀"])), min_size=1),
    st.lists(st.one_of(st.none(), st.integers(-3, 3), st.just(2**60 + 1)), min_size=1),
)


FRAMES = {
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "arrow": lambda table: table,
}


@pytest.mark.parametrize("library", FRAMES)
@given(users=IDS, data=st.data())
@examples(5)
def test_any_rows_read_as_in_files(tmp_path_factory, library, users, data):
    folder = tmp_path_factory.mktemp("in")
    kind = pa.int64() if any(isinstance(user, int) for user in users) else pa.string()
    count = len(users)
    table = pa.table({
        "user_id": pa.array(users, kind),
        "item_id": data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)),
        "rating": pa.array(
            data.draw(st.lists(st.sampled_from([None, 1.5, 4.0, 5.0]),
                               min_size=count, max_size=count)), pa.float64()),
        "timestamp": data.draw(st.lists(st.integers(0, 2_000_000_000),
                                        min_size=count, max_size=count)),
    })  # fmt: skip
    anchor = [{"user_id": 9, "item_id": n, "rating": 5.0, "timestamp": n} for n in range(4)]
    table = pa.concat_tables([table, pa.Table.from_pylist(anchor).cast(table.schema)])
    pq.write_table(table, folder / "interactions.parquet")
    expected = everything(Dataset.load(folder, config=FEW))
    assert everything(Dataset.from_frames(FRAMES[library](table), config=FEW)) == expected


def test_missing_ids_are_refused_rows_counted_by_reason():
    log = [*small_log(), {"user_id": None, "item_id": "i1"}, {"user_id": "u1", "item_id": None}]
    expected = {"no user_id": 1, "no item_id": 1}
    for make in LIBRARIES.values():
        assert Dataset.from_frames(make(log)).report()["refused"]["interactions"] == expected
    numbers = [row | {"user_id": int(row["user_id"][1])} for row in small_log()]
    numbers += [{"user_id": math.nan, "item_id": "i1"}]
    for frame in (pd.DataFrame(numbers), pl.DataFrame(numbers, strict=False)):
        dataset = Dataset.from_frames(frame)
        assert dataset.report()["refused"]["interactions"] == {"no user_id": 1}
        assert dataset.users.ids(range(6)) == ["0", "1", "2", "3", "4", "5"]


def test_the_index_of_pandas_is_no_column():
    log, items = pd.DataFrame(small_log()), pd.DataFrame(ITEMS)
    items.index = pd.Index([f"label {n}" for n in range(8)], name="brand")
    plain = Dataset.from_frames(log, pd.DataFrame(ITEMS))
    for frame in (items, items.rename_axis(None)):
        found = Dataset.from_frames(log.sample(frac=1, random_state=0).sort_index(), frame)
        assert everything(found) == everything(plain)


@pytest.mark.parametrize("index", ["user_id", "Item_ID", "timestamp", ["user_id", "Item_ID"]])
def test_an_index_that_is_a_standard_column_is_read_where_no_other_is(index):
    log = pd.DataFrame(small_log()).rename(columns={"item_id": "Item_ID"})
    items, users = pd.DataFrame(ITEMS), pd.DataFrame(USERS)
    frames = log.set_index(index), items.set_index("item_id"), users.set_index("user_id")
    plain = Dataset.from_frames(log, items, users)
    assert everything(Dataset.from_frames(*frames)) == everything(plain)


def test_an_index_with_a_mapped_name_is_read_and_one_beside_its_column_is_not():
    log = pd.DataFrame(small_log())
    plain = everything(Dataset.from_frames(log))
    mapped, config = log.rename(columns={"user_id": "Who"}), {"columns": {"user_id": "who"}}
    for frame in (
        mapped.set_index("Who"),
        mapped.rename_axis("user_id"),
        mapped.set_index("Who", drop=False).rename_axis("USER_ID"),
    ):
        found = everything(Dataset.from_frames(frame, config=config))
        assert found["parts"] == plain["parts"]
        assert found["report"]["refused_columns"]["interactions"] == {}


def test_categories_dates_and_views_are_read():
    rows = [
        row | {"timestamp": datetime.datetime.fromtimestamp(row["timestamp"] * 1000, datetime.UTC)}
        for row in small_log()
    ]
    as_pandas = pd.DataFrame(rows).astype({"user_id": "category", "item_id": "category"})
    as_polars = pl.DataFrame(rows).cast({"user_id": pl.Categorical})
    found = [Dataset.from_frames(frame, protocol="leave-last-out")
             for frame in (as_pandas, as_polars)]  # fmt: skip
    assert found[0].report()["timestamp_unit"] == "dates"
    assert histories(found[0], "test")["u0"] == ["i5"]
    assert everything(found[0]) == everything(found[1])


def test_a_reader_is_streamed_once_in_its_order():
    table = pa.table({"user_id": ["u"] * 300_000, "item_id": np.arange(300_000) % 150_000})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1000))
    dataset = Dataset.from_frames(reader)
    assert dataset.report()["refused"]["interactions"] == {"repeated pair": 150_000}
    items = dataset.interactions.of(0)
    assert dataset.items.ids(items[:3]) == ["0", "1", "2"]
    assert dataset.items.ids(items[-1:]) == ["149999"]


def test_a_split_is_a_frame_or_a_file(tmp_path):
    log = pd.DataFrame(small_log())
    split = log.assign(part=["train", "valid", "test"] * 12).drop(columns="timestamp")
    path = write_rows(tmp_path, "split", split.to_dict("records"))
    frames = [Dataset.from_frames(log, split=given) for given in (split, pl.DataFrame(split), path)]
    assert everything(frames[0]) == everything(frames[1]) == everything(frames[2])
    assert frames[0].summary()["valid"] == 12


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ({"interactions": [{"user_id": "u"}]}, "interactions is a list, not a data frame"),
        ({"interactions": pd.DataFrame({"user_id": ["u"]})},
         "frame `interactions` has no column 'item_id' (it has user_id)"),
        ({"interactions": pd.DataFrame({"user_id": ["u", 1], "item_id": ["i", "i"]})},
         "frame `interactions` cannot be read: Conversion failed for column user_id"),
        ({"interactions": pd.DataFrame([["u", "i", "j"]],
                                       columns=["user_id", "item_id", "item_id"])},
         "frame `interactions` names the column 'item_id' twice"),
        ({"interactions": None}, "interactions is None; give a data frame"),
        ({"interactions": pl.DataFrame(small_log()), "split": 3}, "split is 3; give a path"),
        ({"interactions": pl.DataFrame(small_log()), "folder": 3}, "folder is 3; give a path"),
        ({"interactions": pl.DataFrame(small_log()), "seed": -1}, "seed is -1; give"),
        ({"interactions": pl.DataFrame(small_log()), "items": pl.DataFrame({"item_id": [["i0"]]})},
         "frame `items`: column 'item_id' is of type VARCHAR[]"),
        ({"interactions": pa.table([["u"], ["i"], ["j"]], ["user_id", "item_id", "ITEM_ID"])},
         "frame `interactions` names the column 'ITEM_ID' twice"),
        ({"interactions": pa.table({"user_id": pa.array([], pa.string()),
                                    "item_id": pa.array([], pa.string())})},
         "frame `interactions` has no usable row"),
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be_used_is_refused_by_its_name(frames, expected):
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(**frames)
    assert expected in str(caught.value)
    assert ".parquet" not in str(caught.value)


def test_notes_name_the_frame(said):
    log = pd.DataFrame(small_log())
    log["timestamp"] = ["17.06.2018", *["2018-06-17"] * (len(log) - 1)]
    items = pd.DataFrame({"item_id": [f"other{n}" for n in range(8)]})
    users = pd.DataFrame({"user_id": [f"u{n}.0" for n in range(12)], "age": 30})
    Dataset.from_frames(
        log.assign(user_id=log["user_id"].str[1:]),
        items=items,
        users=users.assign(user_id=users["user_id"].str[1:]),
    )
    assert [line.split(":")[0] for line in said if "frame" in line] == [
        "frame `interactions`",
        "8 of 8 items have no row in frame `items`",
        "12 of 12 users of frame `users` are not in the log; without .0 at the end 6 of them "
        "would be; ids must be written alike in both files",
    ]
    assert ".parquet" not in "".join(said)


def test_refused_rows_are_counted_in_one_note(said):
    """The command line has them in its table."""
    log = pd.DataFrame(small_log())
    Dataset.from_frames(pd.concat([log, log[:3]]))
    assert not [line for line in said if "refused" in line], "a repeated pair counts once"
    log.loc[[3, 4], "user_id"] = None
    log.loc[5, "item_id"] = ""
    Dataset.from_frames(log)
    (line,) = [line for line in said if "refused" in line]
    assert line == (
        f"3 of {len(log)} rows of the log are refused (no item_id: 1, no user_id: 2); mend them, "
        f"or leave them out"
    )


def test_a_column_that_no_file_holds_is_named():
    spans = pa.array([None], pa.month_day_nano_interval())
    table = pa.table({"user_id": ["u"], "item_id": ["i"], "lent": spans})
    with pytest.raises(InputError, match=r"frame `interactions`: column 'lent' is of type month"):
        Dataset.from_frames(table)


def test_a_setting_names_a_column_of_a_frame():
    log = pd.DataFrame(small_log()).rename(columns={"user_id": "who"})
    found = Dataset.from_frames(log, config=DataConfig(columns={"user_id": "who"}))
    assert len(found.users) == 6
    with pytest.raises(InputError, match="'nobody', but no frame has such a column"):
        Dataset.from_frames(log, config=DataConfig(columns={"user_id": "nobody"}))


def test_nothing_is_left_beside_the_data(tmp_path):
    dataset = Dataset.from_frames(pl.DataFrame(small_log()), folder=tmp_path / "new" / "data")
    assert dataset.folder == tmp_path / "new" / "data"
    assert [path.name for path in Path(tmp_path / "new").iterdir()] == ["data"]
