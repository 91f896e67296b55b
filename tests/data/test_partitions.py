"""Folders of Parquet partitions, as pyarrow, DuckDB and Spark lay them out."""

import shutil
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.database import open_database
from cllm4rec.data.finding import find_file
from cllm4rec.data.ingest import prepare
from cllm4rec.data.partitions import sha256_input
from cllm4rec.data.reading import open_file
from cllm4rec.data.recipe import recipe
from cllm4rec.errors import InputError
from support.input_folder import small_log, write_rows

FILES = ("items.npy", "offsets.npy", "parts.npy", "users.parquet", "items.parquet", "report.json")


def as_spark(folder: Path, rows, cuts=(0, 0, 7, 20, None)) -> Path:
    """Consecutive rows in ``part-*`` files, the first without a row, and what Spark adds."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    for number, (start, end) in enumerate(pairwise(cuts)):
        name = f"part-{number:05}-0a1b2c3d-c000.snappy.parquet"
        pq.write_table(table[start:end], folder / name, compression="snappy")
        (folder / f".{name}.crc").write_bytes(b"crc\0")
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").write_bytes(b"crc\0")
    return folder


def prepared(source: Path, target: Path, **options) -> dict[str, bytes]:
    given = {"split": None, "protocol": "paper", "config": DataConfig(), "seed": 0}
    prepare(source, target, **{**given, **options})
    return {name: (target / name).read_bytes() for name in FILES}


def rows_of(path: Path, scratch: Path, *columns: str) -> list[tuple]:
    with open_database(scratch, "128MB") as connection:
        relation = open_file(connection, path, DataConfig()).relation
        selected = ", ".join(columns) or "*"
        return connection.execute(f"SELECT {selected} FROM {relation}").fetchall()


def complaint(path: Path, scratch: Path) -> str:
    with pytest.raises(InputError) as caught:
        rows_of(path, scratch)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["interactions", "interactions.parquet"])
def test_partitions_of_spark_are_the_file_they_were_cut_from(tmp_path, name):
    """Without times, so that the order of rows decides which of two is newer."""
    rows = [{key: row[key] for key in ("user_id", "item_id")} for row in small_log(9, 12, 8)]
    write_rows(tmp_path / "file", "interactions", [*rows, *rows[::-3]])
    as_spark(tmp_path / "spark" / name, [*rows, *rows[::-3]])
    whole = prepared(tmp_path / "file", tmp_path / "whole")
    assert prepared(tmp_path / "spark", tmp_path / "cut") == whole


def test_items_and_the_split_may_be_partitions_too(tmp_path):
    log = small_log()
    items = [{"item_id": f"i{number}", "title": f"title {number}"} for number in range(8)]
    split = [{**row, "part": "test" if row["item_id"] == "i5" else "train"} for row in log]
    for place in (tmp_path / "file", tmp_path / "spark"):
        write_rows(place, "interactions", log)
    write_rows(tmp_path / "file", "items", items)
    split_file = write_rows(tmp_path / "file", "split", split)
    as_spark(tmp_path / "spark" / "items", items, (0, 4, None))
    split_folder = as_spark(tmp_path / "split", split)
    whole = prepared(tmp_path / "file", tmp_path / "whole", split=split_file)
    assert prepared(tmp_path / "spark", tmp_path / "cut", split=split_folder) == whole


def test_folders_of_pyarrow_and_duckdb_name_columns(tmp_path):
    table = pa.table({
        "user_id": ["u1", "u2", "u3", "u4"],
        "item_id": ["a", "b", "c", "d"],
        "shop": ["Nord/West", "ä b", None, "7"],
        "year": [2023, 2024, 2024, 2023],
    })
    partitioning = ds.partitioning(
        pa.schema([("year", pa.int64()), ("shop", pa.string())]), flavor="hive"
    )
    ds.write_dataset(table, tmp_path / "pyarrow", format="parquet", partitioning=partitioning)
    duckdb.register("given", table)
    duckdb.execute(
        f"COPY given TO '{tmp_path / 'duckdb'}' (FORMAT parquet, PARTITION_BY (year, shop))"
    )
    expected = [
        ("u1", "a", "2023", "Nord/West"),
        ("u2", "b", "2024", "ä b"),
        ("u3", "c", "2024", None),
        ("u4", "d", "2023", "7"),
    ]
    for writer in ("pyarrow", "duckdb"):
        assert (tmp_path / writer / "year=2023").is_dir()
        found = rows_of(tmp_path / writer, tmp_path, "user_id", "item_id", "year", "shop")
        assert sorted(found) == expected, writer


def test_the_splits_parts_may_be_folders(tmp_path):
    """``df.write.partitionBy("part")`` leaves the column to the folders' names."""
    log = small_log()
    write_rows(tmp_path / "in", "interactions", log)
    parts = [{**row, "part": "test" if row["item_id"] == "i5" else "train"} for row in log]
    split = write_rows(tmp_path, "split", parts)
    for part in ("test", "train"):
        rows = [row for row in log if (row["item_id"] == "i5") == (part == "test")]
        as_spark(tmp_path / "split" / f"part={part}", rows, (0, None))
    whole = prepared(tmp_path / "in", tmp_path / "whole", split=split)
    assert prepared(tmp_path / "in", tmp_path / "cut", split=tmp_path / "split") == whole


@pytest.mark.parametrize("above", ["user_id=77", "day=1", "data[1]", "wh?t", "star*", "ä=ö"])
def test_folders_further_up_name_nothing(tmp_path, monkeypatch, above):
    rows = small_log(2, 3, 2)
    as_spark(tmp_path / above / "log" / "day=2", rows, (0, 1, None))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linked=3").symlink_to(above)
    for path in (tmp_path / above / "log", Path(above, "..", "linked=3", "log")):
        found = rows_of(path, tmp_path, "user_id", "day")
        assert found == [(row["user_id"], "2") for row in rows]


def test_a_column_in_folders_and_files_is_the_files(tmp_path):
    as_spark(tmp_path / "log" / "timestamp=x", small_log(2, 3, 2), (0, None))
    (found, *_) = rows_of(tmp_path / "log", tmp_path, "timestamp")
    assert found == (1000,)


def test_a_write_that_has_not_finished_is_refused(tmp_path):
    folder = as_spark(tmp_path / "log", small_log())
    (folder / "_SUCCESS").unlink()
    assert rows_of(folder, tmp_path)
    (folder / "_temporary").mkdir()
    assert "is not finished" in complaint(folder, tmp_path)


def test_what_is_no_partition_is_refused(tmp_path):
    folder = as_spark(tmp_path / "log", small_log())
    (folder / "part-00009.csv").write_text("user_id,item_id\n")
    assert "part-00009.csv is no Parquet file" in complaint(folder, tmp_path)
    (tmp_path / "empty").mkdir()
    assert "has no partition" in complaint(tmp_path / "empty", tmp_path)
    (tmp_path / "empty" / "part-0.parquet").write_text("no")
    assert "part-0.parquet cannot be read" in complaint(tmp_path / "empty", tmp_path)


def test_partitions_of_other_columns_or_types_are_refused(tmp_path):
    folder = as_spark(tmp_path / "log", [{"user_id": 1, "item_id": "a"}], (0, None))
    pq.write_table(pa.table({"user_id": ["x"], "item_id": ["a"]}), folder / "part-9.parquet")
    assert "part-9.parquet and part-00000" in complaint(folder, tmp_path)
    assert "differ in the columns user_id;" in complaint(folder, tmp_path)


def test_partitions_in_other_folders_are_refused(tmp_path):
    folder = as_spark(tmp_path / "log" / "day=1", small_log()).parent
    shutil.copy(next(folder.glob("*/*.parquet")), folder / "part-9.parquet")
    assert "in folders of the columns none" in complaint(folder, tmp_path)


def test_a_file_beside_a_folder_is_refused(tmp_path):
    write_rows(tmp_path, "items", small_log(), "csv")
    as_spark(tmp_path / "items", small_log())
    with pytest.raises(InputError, match=r"has both items\.csv and items; keep one"):
        find_file(tmp_path, "items")


def test_the_recipe_knows_partitions_by_path_and_content(tmp_path):
    def hashed():
        return recipe(tmp_path, split=None, protocol="paper", config=DataConfig(), seed=0)["files"]

    folder = as_spark(tmp_path / "interactions", small_log())
    before = hashed()
    (folder / "_SUCCESS").unlink()
    assert hashed() == before == {"interactions": sha256_input(folder)}
    last = folder / "part-00003-0a1b2c3d-c000.snappy.parquet"
    pq.write_table(pq.read_table(last)[:-1], last)
    assert hashed() != before
