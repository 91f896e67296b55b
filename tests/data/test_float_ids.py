"""Ids in a column of floats, as pandas makes of integers as soon as one is missing."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.database import open_database
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.further_items import read_further_items
from cllm4rec.data.histories import read_histories
from cllm4rec.data.reading import open_file, reading
from cllm4rec.errors import InputError
from support.ids import id_map
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

LONG = [1234567890123456701, 1234567890123456755, 1234567890123456702]
SAID = (
    "column '{}' holds ids as floats, such as 1.2345678901234568e+18, where different ids of so "
    "many digits become one; write it as text or as integers, in pandas from the start: "
    'dtype={{"{}": "Int64"}}'
)


def ids(path):
    with open_database(path.parent, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        with reading(path, file):
            rows = connection.execute(
                f"SELECT {file.identifier('user_id')} FROM {file.relation}"
            ).fetchall()
    (path.parent / "prepare.duckdb").unlink()
    return [row[0] for row in rows]


def parquet_ids(tmp_path, values, kind):
    path = tmp_path / "interactions.parquet"
    pq.write_table(pa.table({"user_id": pa.array(values, kind)}), path)
    return ids(path)


@pytest.mark.parametrize(("kind", "exact"), [(pa.float64(), 2**53), (pa.float32(), 2**24)])
def test_whole_numbers_are_written_as_integers(tmp_path, kind, exact):
    values = [7.0, -0.0, 0.0, -3.0, 1e7, float(exact - 1), float(1 - exact), 1.5, None]
    expected = ["7", "0", "0", "-3", "10000000", str(exact - 1), str(1 - exact), "1.5", None]
    assert parquet_ids(tmp_path, values, kind) == expected
    for value in (exact, -exact, 1e22):
        with pytest.raises(InputError, match="column 'user_id' holds ids as floats, such as "):
            parquet_ids(tmp_path, [7.0, value], kind)


def test_json_numbers_are_read_as_those_of_parquet(tmp_path):
    path = tmp_path / "interactions.jsonl"
    given = ["-0.0", "1e5", "9007199254740991.0", "12345678901234567890123", '"1e22"', "1.5"]
    path.write_text("".join(f'{{"user_id": {number}}}\n' for number in given))
    expected = ["0", "100000", "9007199254740991", "12345678901234567890123", "1e22", "1.5"]
    assert ids(path) == expected
    pd.DataFrame({"user_id": [*LONG, None]}).to_json(path, orient="records", lines=True)
    with pytest.raises(InputError, match="column 'user_id' holds ids as floats"):
        ids(path)


@pytest.mark.parametrize("standard", ["user_id", "item_id"])
@pytest.mark.parametrize("stem", ["interactions", "items", "users", "reviews", "split"])
def test_ids_that_floats_do_not_tell_apart_are_refused_in_every_file(tmp_path, stem, standard):
    folder = tmp_path / "in"
    write_rows(folder, "interactions", small_log())
    row = {"user_id": "u1", "item_id": "i1"}
    row |= {"items": {"title": "t"}, "reviews": {"text": "t"}, "split": {"part": "train"}}.get(
        stem, {}
    )
    rows = [row | {standard: float(number)} for number in LONG] + [row | {standard: None}]
    path = write_rows(folder, stem, rows)
    split = path if stem == "split" else None
    if (stem, standard) in {("items", "user_id"), ("users", "item_id")}:
        prepare_folder(folder)  # there it is no id
        return
    with pytest.raises(InputError) as refused:
        prepare_folder(folder, split=split)
    assert str(refused.value) == f"{path}: {SAID.format(standard, standard)}"


def test_they_are_refused_in_frames():
    log = pd.DataFrame({"user_id": [*LONG, None] * 4, "item_id": [f"i{n}" for n in range(16)]})
    with pytest.raises(InputError) as refused:
        Dataset.from_frames(log)
    assert str(refused.value) == f"frame `interactions`: {SAID.format('user_id', 'user_id')}"
    whole = log.assign(user_id=pd.array([*LONG, None] * 4, "Int64"))
    assert list(Dataset.from_frames(whole, config={"minimum_interactions": 1}).users) == sorted(
        map(str, LONG)
    )


def test_they_are_refused_in_histories_and_further_items(tmp_path):
    rows = [{"user_id": float(number), "item_id": "i1", "title": "t"} for number in LONG]
    path = write_rows(tmp_path, "histories", rows)
    with pytest.raises(
        InputError, match=r"histories.parquet: column 'user_id' holds ids as floats"
    ):
        read_histories(path, id_map(["i1"], "item"), tmp_path / "sorted", DataConfig())
    path = write_rows(tmp_path, "more", [row | {"item_id": row["user_id"]} for row in rows])
    with pytest.raises(InputError, match=r"more.parquet: column 'item_id' holds ids as floats"):
        read_further_items(path, DataConfig(), [], [])


def test_the_name_of_a_mapped_column_is_said(tmp_path):
    rows = [{"it's": float(number), "item_id": "i"} for number in LONG]
    write_rows(tmp_path / "in", "interactions", rows)
    with pytest.raises(InputError) as refused:
        prepare_folder(tmp_path / "in", columns={"user_id": "it's"})
    assert 'column "it\'s" holds ids as floats' in str(refused.value)
