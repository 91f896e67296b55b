"""Finding and opening input files, and their errors in our words."""

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from cllm4rec.data.database import literal, resource_error
from cllm4rec.data.input_file import InputFile
from cllm4rec.errors import InputError

ENDINGS = ("parquet", "csv", "jsonl")

# DuckDB 1.4 would take a buffer of 16 longest lines, whatever the memory limit.
_CSV = (
    "auto_detect=false, header=true, delim=',', quote='\"', escape='\"', comment='', "
    "strict_mode=true, max_line_size=8388608, buffer_size=16777216"
)
_JSON = "format='newline_delimited', records=true"
# Else a folder named user_id=77 would be a column of the file, whatever the file says.
_FILE = "hive_partitioning=false"
_DETECT = "maximum_depth=1, sample_size=-1, map_inference_threshold=-1"


def find_file(folder: Path, stem: str, *, required: bool = False) -> Path | None:
    """The one file ``stem.{parquet,csv,jsonl}`` of the input directory.

    Raises:
        InputError: there are several, or none though one is required.
    """
    if not folder.is_dir():
        raise InputError(f"no folder at {folder}; --data needs one with {stem}.parquet in it")
    found = [path for end in ENDINGS if (path := folder / f"{stem}.{end}").is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder} has both {names}; keep one of them")
    if required and not found:
        raise InputError(f"{folder} has no {stem}.parquet, {stem}.csv or {stem}.jsonl; add one")
    return found[0] if found else None


def open_file(
    connection: duckdb.DuckDBPyConnection, path: Path, mapping: Mapping[str, str]
) -> InputFile:
    """Look at a file's columns; rows are read only when :attr:`InputFile.relation` is.

    Raises:
        InputError: no such file, or not a file of the kind its ending says.
    """
    if not path.is_file():
        raise InputError(f"no file at {path}")
    ending, given = path.suffix.removeprefix("."), literal(_pattern(path))
    if ending == "csv":
        header = _csv_header(path)
        columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
        relation = f"read_csv({given}, columns={{{columns}}}, {_CSV}, {_FILE})"
        return InputFile(path, relation, dict.fromkeys(header, "VARCHAR"), mapping)
    if ending == "parquet":
        relation = f"read_parquet({given}, binary_as_string=true, {_FILE})"
    elif ending == "jsonl":
        relation = f"read_json({given}, {_JSON}, {_DETECT}, {_FILE})"
    else:
        raise InputError(f"{path} does not end in .parquet, .csv or .jsonl; convert or rename it")
    with reading(path):
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {str(row[0]): str(row[1]) for row in described}
    if ending == "jsonl":
        # Named types: a second detection could take an id such as 2020-01-01 for a date.
        columns = ", ".join(f"{literal(column)}: 'JSON'" for column in types)
        relation = f"read_json({given}, {_JSON}, columns={{{columns}}}, {_FILE})"
        types = dict.fromkeys(types, "JSON")
    return InputFile(path, relation, types, mapping)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn DuckDB's complaints about a file into one line that names the file.

    Raises:
        InputError: the file cannot be read as what its name says.
    """
    try:
        yield
    except duckdb.Error as error:
        if resource_error(error, "") is not None:
            raise
        reason = _bad_json_line(path) if path.suffix == ".jsonl" else None
        raise InputError(f"{path} cannot be read: {reason or _reason(str(error))}") from None


def _pattern(path: Path) -> str:
    """A pattern that this file alone matches: DuckDB takes every path for one."""
    return re.sub(r"[*?[]", r"[\g<0>]", str(path.absolute()))


def _csv_header(path: Path) -> list[str]:
    """The first record; DuckDB's own detection may take another row for it."""
    try:
        # Bytes that are no UTF-8 are DuckDB's to refuse: it knows their line.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = next(csv.reader(file, strict=True), [])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: line 1 is not CSV ({error})") from None
    if not header:
        raise InputError(f"{path} is empty; its first line must name the columns")
    named = [column or f"column{place}" for place, column in enumerate(header)]
    repeated = {column for column in named if [x.lower() for x in named].count(column.lower()) > 1}
    if repeated:
        raise InputError(f"{path} names the column {min(repeated)!r} twice; rename one")
    return named


def _bad_json_line(path: Path) -> str | None:
    """Where a file stops being one JSON object per line; DuckDB's line number may be one off."""
    blank = True
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            blank = False
            try:
                value = json.loads(codecs.decode(line, "utf-8"))
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
            except ValueError:
                return f"line {number} is not JSON"
            if not isinstance(value, dict):
                return f"line {number} is not a JSON object"
    return "it is empty" if blank else None


def _reason(message: str) -> str:
    """What DuckDB says, without its advice and without the user's data that it quotes."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^(\w+ )+Error: ", "", lines[0]) if lines else "unknown reason"
    facts = ("Expected Number", "Value with unterminated", "Invalid unicode", "Maximum line size")
    more = [line for line in lines[1:] if line.startswith(facts)]
    return "; ".join([first[:200], *more[:1]])
