"""Opening input files, with clear errors."""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.config import DataConfig
from cllm4rec.data import csv_files, other_formats, partitions
from cllm4rec.data.database import (
    file_pattern,
    literal,
    name,
    one_number,
    resource_error,
    scratch_folder,
)
from cllm4rec.data.float_ids import refusal
from cllm4rec.data.input_file import InputFile
from cllm4rec.errors import InputError

_LONGEST_LINE = 8_388_608
# DuckDB 1.4 would take a buffer of 16 longest lines, whatever the memory limit.
_CSV = (
    "auto_detect=false, header=true, comment='', "
    f"strict_mode=true, max_line_size={_LONGEST_LINE}, buffer_size=16777216"
)
_JSON = "format='newline_delimited', records=true"
# Else a folder named user_id=77 would be a column of the file, whatever the file says.
_FILE = "hive_partitioning=false"
_LINES = '; write an object per line, in pandas by to_json(…, orient="records", lines=True)'
_DETECT = "maximum_depth=1, sample_size=-1, map_inference_threshold=-1"


def open_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    config: DataConfig,
    *,
    settable: bool = True,
) -> InputFile:
    """Look at a file's columns; rows are read only when :attr:`InputFile.relation` is.

    Args:
        connection: the database.
        path: the file, or a folder of Parquet partitions.
        config: names of the columns, separator and encoding.
        settable: :attr:`InputFile.settable`.

    Raises:
        InputError: no such file, not a file of the kind its ending says, or one that names a
            column twice.
    """
    if path.is_dir():
        relation = partitions.relation(path)
        types = _types(connection, path, relation)
        _refuse_repeats(path, pq.read_schema(partitions.partition_files(path)[0]).names)
        return InputFile(path, relation, types, config.columns, settable=settable)
    if not path.is_file():
        raise InputError(f"no file at {path}")
    other_formats.refuse_other_format(path)
    ending, given = path.suffix.removeprefix("."), literal(file_pattern(path))
    if ending == "csv":
        scratch = scratch_folder(connection)
        utf8 = csv_files.as_utf8(path, config.csv_encoding, scratch, settable=settable)
        given_form = config.csv_separator, config.csv_quotes
        header, form = csv_files.header(path, utf8, *given_form, settable=settable)
        utf8 = csv_files.with_one_line_end(utf8, form, scratch)
        _refuse_repeats(path, header)
        columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
        relation = (
            f"read_csv({literal(file_pattern(utf8))}, columns={{{columns}}}, "
            f"{form.options}, {_CSV}, {_FILE})"
        )
        types = dict.fromkeys(header, "VARCHAR")
        return InputFile(path, relation, types, config.columns, (utf8, form), settable)
    if ending == "parquet":
        relation = f"read_parquet({given}, binary_as_string=true, {_FILE})"
    elif ending == "jsonl":
        relation = f"read_json({given}, {_JSON}, {_DETECT}, {_FILE})"
    else:
        raise InputError(f"{path} does not end in .parquet, .csv or .jsonl; convert or rename it")
    types = _types(connection, path, relation)
    if ending == "jsonl":
        # Named types: a second detection could take an id such as 2020-01-01 for a date.
        columns = ", ".join(f"{literal(column)}: 'JSON'" for column in types)
        relation = f"read_json({given}, {_JSON}, columns={{{columns}}}, {_FILE})"
        with reading(path):
            _refuse_repeats(path, _json_keys(connection, relation, list(types)))
        types = dict.fromkeys(types, "JSON")
    else:
        # DuckDB renames the second of two; pyarrow says what stands in the file.
        with suppress(OSError, pa.ArrowException):
            _refuse_repeats(path, pq.read_schema(path).names)
    return InputFile(path, relation, types, config.columns, settable=settable)


def _types(connection: duckdb.DuckDBPyConnection, path: Path, relation: str) -> dict[str, str]:
    """Column → DuckDB type."""
    with reading(path):
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


@contextmanager
def reading(path: Path, file: InputFile | None = None) -> Iterator[None]:
    """Turn DuckDB's complaints about a file into one line that names the file.

    Args:
        path: the file.
        file: the same, where it is open: what more is known of it.

    Raises:
        InputError: the file cannot be read as what its name says, or its ids are floats that do not
            tell them apart.
    """
    try:
        yield
    except duckdb.Error as error:
        if resource_error(error, "") is not None:
            raise
        if said := refusal(str(error)):
            raise InputError(f"{path}: {said}") from None
        reason = _bad_json_line(path) if path.suffix == ".jsonl" else None
        if reason is None and file is not None and file.csv is not None:
            reason = _bad_csv_line(str(error), *file.csv, settable=file.settable)
        reason = reason or _reason(str(error))
        if "Invalid unicode" in reason:
            reason += f"; {csv_files.ENCODING_MEND[file is None or file.settable]}"
        raise InputError(f"{path} cannot be read: {reason}") from None


def _refuse_repeats(path: Path, columns: Sequence[str]) -> None:
    """SQL knows no case: ``item_id`` and ``ITEM_ID`` are one column."""
    lower = [column.lower() for column in columns]
    repeated = [column for place, column in enumerate(columns) if lower[place] in lower[:place]]
    if repeated:
        raise InputError(
            f"{path} names the column {repeated[0]!r} twice (capitals do not count); rename one"
        )


def _json_keys(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: list[str]
) -> list[str]:
    """The keys as the file has them.

    DuckDB describes ``ITEM_ID`` after ``item_id`` as ``ITEM_ID_1``, a key that no line has.
    """
    keys: list[str] = []
    for column in columns:
        base = re.sub(r"_\d+$", "", column)
        renamed = base != column and base.lower() in {key.lower() for key in keys}
        if renamed and not one_number(connection, f"SELECT count({name(column)}) FROM {relation}"):
            column = base
        keys.append(column)
    return keys


class _RepeatedKey(ValueError):
    pass


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(keys := dict(pairs)) < len(pairs):
        raise _RepeatedKey
    return keys


def _bad_json_line(path: Path) -> str | None:
    """Where a file stops being one JSON object per line; DuckDB's line number may be one off."""
    blank = True
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            blank = False
            try:
                value = json.loads(codecs.decode(line, "utf-8"), object_pairs_hook=_each_once)
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
            except UnicodeEncodeError:
                return (
                    f"line {number} has half a character (a lone surrogate); mend or leave it out"
                )
            except _RepeatedKey:
                return f"line {number} has a key twice"
            except RecursionError:
                return f"line {number} has brackets in brackets, too many to read"
            except ValueError:
                # An array over several lines has its bracket alone in the first.
                return f"line {number} is not JSON" + _LINES * line.lstrip().startswith(b"[")
            if not isinstance(value, dict):
                return f"line {number} is not a JSON object" + _LINES * isinstance(value, list)
            if "" in value:
                return f"line {number} has a key without a name; name it or leave it out"
    return "it is empty" if blank else None


def _bad_csv_line(message: str, utf8: Path, form: csv_files.Form, *, settable: bool) -> str | None:
    """The line that DuckDB stopped at, what is wrong there, and the mend."""
    record = re.search(r"CSV Error on Line: (\d+)", message)
    if record is None:
        return None
    line = f"line {csv_files.line_of_record(utf8, form, int(record[1]))}"
    counts = re.search(r"^Expected Number of Columns: (\d+) Found: (\d+)", message, re.MULTILINE)
    if counts is not None:
        columns, values = map(int, counts.groups())
        mend = "put a value with separators in quotes" if values > columns else "add what it lacks"
        many = "s" * (values > 1)
        return f"{line} has {values} value{many} for {columns} columns; {mend}, or remove the line"
    if "\nValue with unterminated quote" in message:
        said = f'{line} has a quote that is not closed, or not written "" inside quotes; mend it'
        return said + ", or --set data.csv_quotes=false: quotes are letters" * settable
    if "\nMaximum line size" in message:
        return f"{line} has more than {_LONGEST_LINE:,} bytes; close its quote, or shorten it"
    return None


def _reason(message: str) -> str:
    """What DuckDB says, without its advice and without the user's data that it quotes."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^(\w+ )+Error: ", "", lines[0]) if lines else "unknown reason"
    facts = ("Expected Number", "Invalid unicode")
    more = [line for line in lines[1:] if line.startswith(facts)]
    return "; ".join([first[:200], *more[:1]])
