"""Data frames of any library as an input directory, by way of the Arrow C stream interface.

pandas, polars, Arrow, DuckDB and others hand over their rows through ``__arrow_c_stream__``. They
are streamed to Parquet files, so that frames and files have one reader and the same checks.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.config import COLUMNS
from cllm4rec.data.arguments import path_of
from cllm4rec.errors import InputError
from cllm4rec.run import make_folder

ROW_GROUP = 131_072
_FOLDER = ".cllm4rec-frames-"


def is_frame(value: object) -> bool:
    """Whether a value hands over rows through the Arrow C stream interface."""
    return hasattr(value, "__arrow_c_stream__")


@contextmanager
def input_directory(
    frames: Mapping[str, Any], beside: Path | None = None, mapping: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """A folder ``interactions.parquet`` and so on, for as long as the block lasts.

    Args:
        frames: file stem → frame; None is left out. A stream that can be read once is enough.
        beside: where the folder is made; None takes the system's for temporary files.
        mapping: standard column name → name in the frames: `DataConfig.columns`.

    Raises:
        InputError: a value is no frame, or a column of it is nothing that a file can hold. Also of
            the block, with the frame's name for that of its file.
    """
    if beside is not None:
        make_folder(beside)
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=beside) as temporary:
        folder = Path(temporary)
        for stem, frame in frames.items():
            if frame is not None:
                _write(stem, frame, folder / f"{stem}.parquet", mapping or {})
        try:
            yield folder
        except InputError as error:
            message = str(error)
            for stem in frames:
                for file in (str(folder / f"{stem}.parquet"), f"{stem}.parquet"):
                    message = message.replace(file, f"frame `{stem}`")
            raise type(error)(message.replace(f"file in {folder}", "frame")) from None


@contextmanager
def input_file(name: str, value: Any, mapping: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A file as it is, or a frame as a Parquet file for as long as the block lasts.

    Args:
        name: of the argument, and stem of the file.
        value: a path, or a frame.
        mapping: as of `input_directory`.

    Raises:
        InputError: as `input_directory`.
    """
    if isinstance(value, str | Path):
        yield path_of(name, value)
    else:
        with input_directory({name: value}, mapping=mapping) as folder:
            yield folder / f"{name}.parquet"


def frame_of(path: Path) -> str | None:
    """What messages call a file of `input_directory`; None of any other."""
    return f"frame `{path.stem}`" if path.parent.name.startswith(_FOLDER) else None


def _write(stem: str, frame: Any, path: Path, mapping: Mapping[str, str]) -> None:
    if not is_frame(frame):
        raise InputError(
            f"{stem} is a {type(frame).__name__}, not a data frame; give one of pandas (2.2 or "
            f"later), polars or Arrow, or anything else with __arrow_c_stream__"
        )
    try:
        with pa.RecordBatchReader.from_stream(frame) as reader:
            columns = _columns(reader.schema, mapping)
            schema = pa.schema([pa.field(name, kind) for name, kind in columns.values()])
            with _writer(stem, path, schema) as writer:
                for table in _blocks(reader):
                    plain = [_plain(table.column(at), kind) for at, (_, kind) in columns.items()]
                    writer.write_table(pa.Table.from_arrays(plain, schema=schema))
    except pa.ArrowException as error:
        # The last argument names the column; the others may quote a value.
        said = str(error.args[-1]) if len(error.args) > 1 else "its columns cannot be converted"
        raise InputError(
            f"frame `{stem}` cannot be read: {said}; give each column values of one type"
        ) from None
    except ValueError:  # pandas', before Arrow sees a column
        names = list(map(str, frame.columns))
        twice = [name for name in names if names.count(name) > 1]
        said = f"names the column {twice[0]!r} twice" if twice else "cannot be read"
        raise InputError(
            f"frame `{stem}` {said}; give columns of different names, each of one type"
        ) from None


def _columns(schema: Any, mapping: Mapping[str, str]) -> dict[int, tuple[str, Any]]:
    """Place → name and type to write, without what pandas keeps of an index.

    An index that `groupby` or `set_index` made of a standard column stays, as it is in no other.
    """
    index: list[Any] = []
    with suppress(ValueError, KeyError, TypeError):
        index = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
    given = {name.lower() for name in schema.names if name not in index}
    wanted = set()
    for standard in COLUMNS:
        names = {standard, mapping.get(standard, standard).lower()}
        if not names & given:
            wanted |= names
    return {
        at: (field.name, _plain_type(field.type))
        for at, field in enumerate(schema)
        if field.name not in index or field.name.lower() in wanted
    }


def _plain_type(kind: Any) -> Any:
    """The type of the same values in Parquet: no views and no dictionaries."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_plain_type(kind.value_type))
    return kind


def _plain(column: Any, kind: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        # Decoding knows no views, taking from a cast dictionary does.
        chunks = [chunk.dictionary.cast(kind).take(chunk.indices) for chunk in column.chunks]
        return pa.chunked_array(chunks, kind)
    return column if column.type == kind else column.cast(kind)


def _writer(stem: str, path: Path, schema: Any) -> Any:
    try:
        return pq.ParquetWriter(path, schema)
    except pa.ArrowException:
        for field in schema:
            try:
                pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
            except pa.ArrowException:
                raise InputError(
                    f"frame `{stem}`: column {field.name!r} is of type {field.type}, which no "
                    f"file can hold; convert it or leave it out"
                ) from None
        raise


def _blocks(reader: Any) -> Iterator[Any]:
    """The batches of a stream, small ones put together."""
    batches: list[Any] = []
    rows = 0
    for batch in reader:
        batches.append(batch)
        rows += len(batch)
        if rows >= ROW_GROUP:
            yield pa.Table.from_batches(batches)
            batches, rows = [], 0
    yield pa.Table.from_batches(batches, reader.schema)
