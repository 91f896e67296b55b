import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.database import open_database
from cllm4rec.data.reading import open_file, reading
from cllm4rec.errors import InputError
from support.input_folder import write_rows


def read(path):
    """All rows of a file, as prepare reads them."""
    with open_database(path.parent, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        with reading(path, file):
            connection.execute(f"CREATE TABLE rows AS SELECT * FROM {file.relation}")
        return connection.execute("SELECT * FROM rows").fetchall()


def complaint(path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert "secret" not in message, "a message must not repeat the users' data"
    return message


def write(tmp_path, name, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    return path


FOLDERS = [
    ("user_id=77", "other"), ("title=Foo", "other"), ("data[1]", "data1"), ("star*", "star2"),
    ("wh?t", "what"), ("[a-z]=[!x]*", "q=y"), ("~", "other"), ("back\\slash", "backslash"),
]  # fmt: skip


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(("folder", "beside"), FOLDERS)
def test_the_name_of_a_folder_changes_nothing(tmp_path, monkeypatch, folder, beside, ending):
    """DuckDB takes paths for patterns, and names such as user_id=77 for columns."""
    monkeypatch.chdir(tmp_path)
    rows = [{"user_id": f"u{n}", "item_id": "i", "title": "t"} for n in range(3)]
    write_rows(tmp_path / beside, "interactions", rows * 2, ending)
    path = write_rows(tmp_path / folder, "interactions", rows, ending)
    for given in (path, Path(folder) / path.name):
        with open_database(tmp_path, "128MB") as connection:
            file = open_file(connection, given, DataConfig())
            assert list(file.types) == ["user_id", "item_id", "title"]
            selected = ", ".join(file.identifier(column) for column in file.types)
            found = connection.execute(f"SELECT {selected} FROM {file.relation}").fetchall()
        assert found == [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "csv.gz"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"user_id,item_id\n"), "a gzip file; unpack it"),
        (bz2.compress(b"user_id,item_id\n"), "a bzip2 file; unpack it"),
        (lzma.compress(b"user_id,item_id\n"), "an xz file; unpack it"),
        (b"PK\x03\x04\x14", "a zip or .xlsx file; unpack it, or save its sheet as CSV"),
    ],
    ids=["gzip", "bzip2", "xz", "zip"],
)
def test_a_packed_file_is_refused_whatever_its_name(tmp_path, ending, content, what):
    path = write(tmp_path, f"interactions.{ending}", content)
    with pytest.raises(InputError) as refused:
        read(path)
    assert str(refused.value) == f"{path} is {what}"


@pytest.mark.parametrize(
    ("content", "why"),
    [(b'[{"user_id": "a", "item_id": "b"}]', "line 1 is not a JSON object"),
     (b'[\n{"user_id": "a", "item_id": "b"}\n]\n', "line 1 is not JSON")],
)  # fmt: skip
def test_an_array_of_objects_has_its_mend(tmp_path, content, why):
    mend = 'write an object per line, in pandas by to_json(…, orient="records", lines=True)'
    assert complaint(write(tmp_path, "interactions.jsonl", content)).endswith(f"{why}; {mend}")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"split\.tsv does not end in \.parquet, \.csv or \.jsonl"):
        read(write(tmp_path, "split.tsv", b"user_id\titem_id\n"))
    with pytest.raises(InputError, match="no file at"):
        read(tmp_path / "absent.parquet")


def test_csv_takes_what_the_format_allows(tmp_path):
    content = b'\xef\xbb\xbfuser_id,item_id\r\n#a,"b\r\nc"\r\n"say ""hi""",\r\nlast,line'
    rows = read(write(tmp_path, "interactions.csv", content))
    assert rows == [("#a", "b\r\nc"), ('say "hi"', None), ("last", "line")]


def test_csv_of_a_header_alone_has_no_rows(tmp_path):
    assert read(write(tmp_path, "interactions.csv", b"user_id,item_id\n")) == []


def test_csv_takes_one_long_line(tmp_path):
    content = b"user_id,item_id\n" + b"u" * 10_000 + b"," + b"i" * 3_000_000 + b"\n"
    ((user_id, item_id),) = read(write(tmp_path, "interactions.csv", content))
    assert (len(user_id), len(item_id)) == (10_000, 3_000_000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"user_id,item_id\na,b\nsecret,\xff\n",
            "data.csv_encoding=NAME",
        ),
        (
            b"user_id,item_id\na,b\nsecret,d,e\n",
            "read: line 3 has 3 values for 2 columns; put a value with separators in quotes, or",
        ),
        (
            b"user_id,item_id\na,b\nsecret\n",
            "read: line 3 has 1 value for 2 columns; add what it lacks, or remove the line",
        ),
        (
            b'user_id,item_id\na,b\n"secret,d\n',
            'line 3 has a quote that is not closed, or not written "" inside quotes',
        ),
        (b'user_id,item_id\n"a\r\n\nb",c\n\nsecret\n', "line 6 has 1 value for 2 columns"),
        (b'user_id,item_id\r\n"a\n\nb",c\n\nsecret\r\n', "line 6 has 1 value for 2 columns"),
        (b"user_id,item_id\na," + b"b" * 9_000_000, "line 2 has more than 8,388,608 bytes"),
        (b"", "is empty; its first line must name the columns"),
        (b"user_id,item_id,Item_ID\n", "names the column 'Item_ID' twice"),
        (b"user_id;item_id\nsecret\n", "line 2 has 1 value for 2 columns"),
        (b'user_id,"item_id\n', "line 1 is not CSV"),
    ],
)
def test_csv_that_is_none_is_refused_with_its_line(tmp_path, content, expected):
    assert expected in complaint(write(tmp_path, "interactions.csv", content))


def test_a_nameless_csv_column_gets_a_name(tmp_path):
    path = write(tmp_path, "interactions.csv", b",user_id\n0,u\n")
    with open_database(tmp_path, "128MB") as connection:
        assert list(open_file(connection, path, DataConfig()).types) == ["column0", "user_id"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"user_id": "secret", "item_id":', "line 2 is not JSON"),
        (rb'{"user_id": "secret\ud800", "item_id": "i"}', "line 2 has half a character"),
        pytest.param(
            b'{"user_id": ' + b"[" * 3000 + b"]" * 3000 + b"}",
            "line 2 has brackets in brackets",
            id="brackets",
        ),
        (b'{"user_id": "secret\xff"}', "line 2 is not UTF-8"),
        (b'["secret"]', "line 2 is not a JSON object"),
        (b'{"user_id": "secret", "": 1}', "line 2 has a key without a name"),
        (b'{"user_id": "secret", "user_id": "secret"}', "line 2 has a key twice"),
    ],
)
def test_json_that_is_none_is_refused_with_its_line(tmp_path, line, expected):
    content = b'{"user_id": "a", "item_id": "b"}\n' + line + b"\n"
    assert expected in complaint(write(tmp_path, "interactions.jsonl", content))


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_json_without_a_line_is_refused(tmp_path, content):
    assert "cannot be read: it is empty" in complaint(write(tmp_path, "reviews.jsonl", content))


def test_json_keys_may_come_late_and_in_any_order(tmp_path):
    rows = [f'{{"user_id": "u{n}"}}' for n in range(30_000)] + ['{"rating": 4, "user_id": "z"}']
    path = write(tmp_path, "interactions.jsonl", "\n".join(rows).encode())
    with open_database(tmp_path, "128MB") as connection:
        assert set(open_file(connection, path, DataConfig()).types) == {"user_id", "rating"}


def test_parquet_that_is_none_is_refused(tmp_path):
    path = write_rows(tmp_path, "interactions", [{"user_id": f"u{n}"} for n in range(100)])
    whole = path.read_bytes()
    for cut in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "cannot be read" in complaint(path)


def test_parquet_with_a_damaged_page_is_refused(tmp_path):
    ids = [f"secret{n}" for n in range(1000)]
    path = tmp_path / "interactions.parquet"
    pq.write_table(pa.table({"user_id": ids}), path, compression="zstd", use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    damaged[100:1000] = b"\x00" * 900
    path.write_bytes(damaged)
    assert "cannot be read" in complaint(path)


def test_parquet_bytes_that_are_no_utf8_are_refused(tmp_path):
    path = tmp_path / "interactions.parquet"
    pq.write_table(pa.table({"user_id": pa.array([b"ok", b"\xff\xfe"])}), path)
    assert "cannot be read" in complaint(path)


def test_the_order_of_a_large_csv_is_kept(tmp_path):
    """Several threads read it; quoted line breaks make its pieces hard to find."""
    lines = "".join(f'u{n},"a\n""{n}"\n' for n in range(200_000))
    path = write(tmp_path, "interactions.csv", b"user_id,item_id\n" + lines.encode())
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        ((count, wrong),) = connection.execute(
            f"SELECT count(*), count(*) FILTER (user_id <> 'u' || (row - 1)) FROM "
            f"(SELECT row_number() OVER () AS row, user_id FROM {file.relation})"
        ).fetchall()
    assert (count, wrong) == (200_000, 0)


@pytest.mark.parametrize("second", ["item_id", "ITEM_ID"])
def test_a_parquet_column_that_stands_twice_is_refused(tmp_path, second):
    arrays = [pa.array(["secret"])] * 3
    table = pa.table(arrays, names=["user_id", "item_id", second])
    pq.write_table(table, tmp_path / "interactions.parquet")
    expected = f"names the column {second!r} twice (capitals do not count); rename one"
    assert expected in complaint(tmp_path / "interactions.parquet")


def test_a_json_key_in_two_spellings_is_refused(tmp_path):
    lines = b'{"item_id": "secret", "title": "b"}\n{"ITEM_ID": "c"}\n'
    message = complaint(write(tmp_path, "items.jsonl", lines))
    assert "names the column 'ITEM_ID' twice" in message


def test_a_key_that_only_looks_renamed_is_taken(tmp_path):
    path = write(tmp_path, "items.jsonl", b'{"genre": "a"}\n{"genre_1": "b"}\n')
    assert read(path) == [('"a"', None), (None, '"b"')]
