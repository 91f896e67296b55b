"""The same rows must read alike in every format."""

import datetime
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.database import open_database
from cllm4rec.data.reading import open_file
from cllm4rec.errors import InputError
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

FORMATS = ("parquet", "csv", "jsonl")


def evaluate(path, *expressions, mapping=None):
    """Rows of SQL expressions, each given as (method of InputFile, its arguments)."""
    with open_database(path.parent, "128MB") as connection:
        file = open_file(connection, path, DataConfig(columns=mapping or {}))
        selected = ", ".join(getattr(file, method)(*given) for method, *given in expressions)
        rows = connection.execute(f"SELECT {selected} FROM {file.relation}").fetchall()
    (path.parent / "prepare.duckdb").unlink()
    return [row[0] for row in rows] if len(expressions) == 1 else rows


@pytest.mark.parametrize("ending", FORMATS)
def test_ids_stay_as_they_are(tmp_path, ending):
    ids = ["007", "7", "2020-01-01", "1e5", "true", "null", "NA", "  x ", "😀", "#1", "a,b", "''"]
    path = write_rows(tmp_path, "interactions", [{"user_id": each} for each in ids], ending)
    assert evaluate(path, ("identifier", "user_id")) == ids


@pytest.mark.parametrize("ending", FORMATS)
def test_no_id_is_null(tmp_path, ending):
    rows = [{"user_id": "", "item_id": "x"}, {"user_id": None, "item_id": "y"}]
    path = write_rows(tmp_path, "interactions", rows, ending)
    assert evaluate(path, ("identifier", "user_id")) == [None, None]


@pytest.mark.parametrize("ending", FORMATS)
def test_integer_ids_become_their_digits(tmp_path, ending):
    rows = [{"user_id": 7}, {"user_id": 9_007_199_254_740_993}, {"user_id": -1}]
    path = write_rows(tmp_path, "interactions", rows, ending)
    assert evaluate(path, ("identifier", "user_id")) == ["7", "9007199254740993", "-1"]


def test_integer_ids_that_pandas_made_floats_lose_the_point(tmp_path):
    table = pa.table({"user_id": pa.array([7.0, math.nan, None, 1.5])})
    pq.write_table(table, tmp_path / "interactions.parquet")
    found = evaluate(tmp_path / "interactions.parquet", ("identifier", "user_id"))
    assert found == ["7", None, None, "1.5"]


def test_json_numbers_are_the_ids_that_parquet_makes_of_them(tmp_path):
    path = tmp_path / "interactions.jsonl"
    numbers = ["7.0", "1.5", "null", "-3.0", "12345678901234567890123", '"7.0"', '"1e5"']
    path.write_text("".join(f'{{"user_id": {number}}}\n' for number in numbers))
    expected = ["7", "1.5", None, "-3", "12345678901234567890123", "7.0", "1e5"]
    assert evaluate(path, ("identifier", "user_id")) == expected


@pytest.mark.parametrize("ending", FORMATS)
def test_numbers_are_read_alike(tmp_path, ending):
    rows = [{"rating": 3.7, "n": 1}, {"rating": 5, "n": 2}, {"rating": None, "n": 3}]
    path = write_rows(tmp_path, "interactions", rows, ending)
    assert evaluate(path, ("number", "rating"), ("given", "rating")) == [
        (3.7, True), (5.0, True), (None, False)
    ]  # fmt: skip


def test_a_float32_is_the_number_it_was_written_as(tmp_path):
    """Otherwise a rating of 3.7 passes a minimum of 3.7 in Parquet and fails it in CSV."""
    table = pa.table({"rating": pa.array([3.7], pa.float32())})
    pq.write_table(table, tmp_path / "interactions.parquet")
    assert evaluate(tmp_path / "interactions.parquet", ("number", "rating")) == [3.7]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_that_is_no_number_is_given_but_null(tmp_path, ending):
    rows = [{"timestamp": "yesterday", "n": 1}, {"timestamp": " ", "n": 2}]
    path = write_rows(tmp_path, "interactions", rows, ending)
    assert evaluate(path, ("number", "timestamp"), ("given", "timestamp")) == [
        (None, True), (None, False)
    ]  # fmt: skip


def test_times_of_a_date_type_become_seconds(tmp_path):
    moment = datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)
    for kind in (pa.timestamp("ns"), pa.timestamp("ms", tz="UTC"), pa.date32()):
        path = tmp_path / "interactions.parquet"
        values = pa.array([moment.replace(tzinfo=None), None]).cast(pa.timestamp("ns")).cast(kind)
        pq.write_table(pa.table({"timestamp": values}), path)
        assert evaluate(path, ("number", "timestamp")) == [86_400.0, None]


@pytest.mark.parametrize("ending", FORMATS)
def test_blank_texts_are_null_and_others_untouched(tmp_path, ending):
    texts = [" a  b ", "", " \n\t ", None, "x\ny", 'say "hi"', "<user_3>"]
    rows = [{"text": text, "n": n} for n, text in enumerate(texts)]
    path = write_rows(tmp_path, "items", rows, ending)
    expected = [" a  b ", None, None, None, "x\ny", 'say "hi"', "<user_3>"]
    assert evaluate(path, ("text", "text")) == expected
    assert evaluate(path, ("text", "absent")) == [None] * len(texts)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_lists_are_joined(tmp_path, ending):
    rows = [{"text": ["a", "b"]}, {"text": []}, {"text": None}, {"text": ["a", None, "c"]}]
    path = write_rows(tmp_path, "items", rows, ending)
    assert evaluate(path, ("text", "text")) == ["a, b", None, None, "a, c"]


def test_a_mapped_column_is_found_and_one_map_serves_all_files(tmp_path):
    mapping = {"text": "reviewText", "user_id": "reviewerID"}
    reviews = write_rows(tmp_path, "reviews", [{"reviewerID": "u", "reviewText": "x"}])
    items = write_rows(tmp_path, "items", [{"user_id": "u", "text": "y"}])
    for path, text in ((reviews, "x"), (items, "y")):
        found = evaluate(path, ("identifier", "user_id"), ("text", "text"), mapping=mapping)
        assert found == [("u", text)]


def test_a_missing_column_names_the_file_the_columns_and_the_mend(tmp_path):
    path = write_rows(tmp_path, "interactions", [{"reviewerID": "u", "asin": "i"}])
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        with pytest.raises(
            InputError,
            match=r"interactions\.parquet has no column 'user_id' \(it has reviewerID, asin\).*"
            r"--set data\.columns\.user_id=NAME",
        ):
            file.require("user_id")
        with pytest.raises(
            InputError,
            match=r"has no column 'user_id' and no column 'item_id' \(it has .*user_id=NAME --set "
            r'data\.columns\.item_id=NAME; in Python config=\{"columns": \{"user_id": NAME, "item',
        ):
            file.require("user_id", "item_id")
        mapped = open_file(connection, path, DataConfig(columns={"user_id": "nobody"}))
        with pytest.raises(InputError, match="no column 'nobody'"):
            mapped.require("user_id")


@pytest.mark.parametrize(("named", "lacking"), [("artistID", "items"), ("id", "interactions")])
def test_a_name_that_one_file_has_is_not_to_be_mapped_again_for_another(tmp_path, named, lacking):
    """Else each of two names is refused with the advice to map the other."""
    folder = tmp_path / "in"
    write_rows(folder, "items", [{"id": f"i{n}", "name": "x"} for n in range(8)])
    log = [{"user_id": row["user_id"], "artistID": row["item_id"]} for row in small_log()]
    write_rows(folder, "interactions", log)
    with pytest.raises(InputError) as caught:
        prepare_folder(folder, columns={"item_id": named})
    message = str(caught.value)
    assert f"{lacking}.parquet has no column '{named}' (it has " in message
    assert "one name in data.columns serves all files: in this one rename what is meant to " in (
        message
    )
    assert "to 'item_id'; standard names are read beside it" in message
    assert "NAME" not in message
    write_rows(folder, "items", [{"item_id": f"i{n}", "name": "x"} for n in range(8)])
    prepare_folder(folder, columns={"item_id": "artistID"})


NESTED = [
    (pa.array([{"id": "a"}]), "STRUCT(id VARCHAR)"),
    (pa.array([["a"]]), "VARCHAR[]"),
    (pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())), "MAP(VARCHAR, VARCHAR)"),
]


@pytest.mark.parametrize(("values", "kind"), NESTED)
@pytest.mark.parametrize("standard", ["user_id", "item_id", "title", "rating", "timestamp"])
def test_a_nested_column_is_refused_by_name_and_type(tmp_path, standard, values, kind):
    pq.write_table(pa.table({standard: values}), tmp_path / "interactions.parquet")
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, tmp_path / "interactions.parquet", DataConfig())
        method = {"title": file.text, "rating": file.number, "timestamp": file.number}
        with pytest.raises(InputError) as caught:
            method.get(standard, file.identifier)(standard)
    assert f"interactions.parquet: column {standard!r} is of type {kind};" in str(caught.value)


def test_structures_are_no_text_but_lists_are(tmp_path):
    pq.write_table(pa.table({"text": NESTED[0][0]}), tmp_path / "items.parquet")
    with pytest.raises(InputError, match=r"column 'text' is of type STRUCT"):
        evaluate(tmp_path / "items.parquet", ("text", "text"))
