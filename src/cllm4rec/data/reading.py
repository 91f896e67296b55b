"""Input files (Parquet, CSV, JSON lines) as SQL: the same rows give the same text in any format."""

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cllm4rec.data.database import literal, name, resource_error
from cllm4rec.errors import InputError

ENDINGS = ("parquet", "csv", "jsonl")

_CSV = (
    "auto_detect=false, header=true, delim=',', quote='\"', escape='\"', comment='', "
    "strict_mode=true, max_line_size=16777216"
)
_JSON = "format='newline_delimited', maximum_depth=1, sample_size=-1, map_inference_threshold=-1"
_NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "BIT")
_DATES = ("TIMESTAMP", "DATE")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input directory, as SQL expressions over :attr:`relation`.

    Attributes:
        path: the file.
        relation: what to put after ``FROM``.
        types: column name in the file → DuckDB type.
        mapping: standard column name → name in the file, from ``data.columns``.
    """

    path: Path
    relation: str
    types: Mapping[str, str]
    mapping: Mapping[str, str]

    def has(self, standard: str) -> bool:
        """Whether the file has this standard column, under its mapped or its own name."""
        return self.column(standard) in self.types

    def column(self, standard: str) -> str:
        """The name of a standard column in this file; one map serves several files."""
        mapped = self.mapping.get(standard, standard)
        return mapped if mapped in self.types else standard

    def require(self, *standards: str) -> None:
        """Refuse the file unless it has these standard columns.

        Raises:
            InputError: names the column, the file and the columns there are.
        """
        for standard in standards:
            if not self.has(standard):
                raise InputError(
                    f"{self.path} has no column {self.mapping.get(standard, standard)!r} "
                    f"(it has {', '.join(self.types) or 'none'}); rename one, or map it with "
                    f"--set data.columns.{standard}=NAME"
                )

    def identifier(self, standard: str) -> str:
        """SQL for an id as text, NULL where there is none: ``"007"`` stays, the integer 7 is ``7``."""
        column = self.column(standard)
        text = self._scalar(column)
        if self.types[column] in {"FLOAT", "DOUBLE"}:
            # pandas turns integers to floats as soon as one of them is missing.
            text = _plain_number(text)
        return f"nullif({text}, '')"

    def text(self, standard: str) -> str:
        """SQL for a text, NULL where the column is absent or the value is blank."""
        if not self.has(standard):
            return "NULL::VARCHAR"
        value = f"array_to_string({self.values(self.column(standard))}, ', ')"
        return f"CASE WHEN regexp_matches({value}, '\\S') THEN {value} END"

    def number(self, standard: str) -> str:
        """SQL for a number as DOUBLE, NULL where there is none or it cannot be read as one."""
        if not self.has(standard):
            return "NULL::DOUBLE"
        column = self.column(standard)
        if self.types[column].startswith(_DATES):
            return f"epoch({name(column)})::DOUBLE"
        # By way of text: the float32 3.7 and the text 3.7 become the same double.
        return f"TRY_CAST({self._scalar(column)} AS DOUBLE)"

    def given(self, standard: str) -> str:
        """SQL for whether a value was given at all, readable or not."""
        if not self.has(standard):
            return "false"
        return f"coalesce(trim({self._scalar(self.column(standard))}), '') <> ''"

    def values(self, column: str) -> str:
        """SQL for a column's values as a list of texts: a list column's own, else of one value."""
        kind, quoted = self.types[column], name(column)
        if kind == "JSON":
            many = f"[each ->> '$' for each in {quoted}::JSON[]]"
            return (
                f"CASE json_type({quoted}) WHEN 'ARRAY' THEN {many} WHEN 'OBJECT' THEN NULL "
                f"ELSE [{self._scalar(column)}] END"
            )
        if kind.endswith("]"):
            return f"[each::VARCHAR for each in {quoted}]"
        return f"[{self._scalar(column)}]"

    def feature(self, column: str, said: str) -> str:
        """SQL for a feature as text, NULL where there is nothing beyond what the texts say.

        A value is left out if the texts have the words it begins with, whatever the punctuation:
        only the beginning of a feature is read, and raw copies of a text differ further on.

        Args:
            column: name in the file.
            said: SQL for the row's texts as :func:`words`.
        """
        kept = (
            f"[{_plain_number('each')} for each in {self.values(column)} "
            f"if regexp_matches(each, '[^[:punct:]\\s]') "
            f"AND NOT contains({said}, {words('each')}[:80])]"
        )
        return f"nullif(array_to_string({kept}, ', '), '')"

    def is_nested(self, column: str) -> bool:
        """Whether the values are no texts, numbers or lists of them."""
        kind = self.types[column]
        return kind.startswith(_NESTED) or kind.endswith("][]")

    def _scalar(self, column: str) -> str:
        if self.types[column] == "JSON":
            return f"({name(column)} ->> '$')"
        return f"{name(column)}::VARCHAR"


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
    ending = path.suffix.removeprefix(".")
    if ending == "csv":
        header = _csv_header(path)
        columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
        relation = f"read_csv({literal(str(path))}, columns={{{columns}}}, {_CSV})"
        return InputFile(path, relation, dict.fromkeys(header, "VARCHAR"), mapping)
    if ending == "parquet":
        relation = f"read_parquet({literal(str(path))}, binary_as_string=true)"
    elif ending == "jsonl":
        relation = f"read_json({literal(str(path))}, {_JSON})"
    else:
        raise InputError(f"{path} does not end in .parquet, .csv or .jsonl; convert or rename it")
    with reading(path):
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {str(row[0]): str(row[1]) for row in described}
    if ending == "jsonl":
        # Named types: a second detection could take an id such as 2020-01-01 for a date.
        columns = ", ".join(f"{literal(column)}: 'JSON'" for column in types)
        options = f"format='newline_delimited', columns={{{columns}}}"
        relation = f"read_json({literal(str(path))}, {options})"
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


def words(text: str) -> str:
    """SQL for a text's words alone, in lower case, with a space before, between and after them."""
    words = f"regexp_replace(lower({text}), '[^\\pL\\pN]+', ' ', 'g')"
    return f"coalesce(' ' || trim({words}) || ' ', '')"


def _plain_number(text: str) -> str:
    return f"regexp_replace({text}, '^(-?[0-9]+)\\.0+$', '\\1')"


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
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(codecs.decode(line, "utf-8")) if line.strip() else {}
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
            except ValueError:
                return f"line {number} is not JSON"
            if not isinstance(value, dict):
                return f"line {number} is not a JSON object"
    return None


def _reason(message: str) -> str:
    """What DuckDB says, without its advice and without the user's data that it quotes."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^(\w+ )+Error: ", "", lines[0]) if lines else "unknown reason"
    facts = ("Expected Number", "Value with unterminated", "Invalid unicode", "Maximum line size")
    more = [line for line in lines[1:] if line.startswith(facts)]
    return "; ".join([first[:200], *more[:1]])
