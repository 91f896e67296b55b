"""A folder of Parquet partitions as one table, as Spark, DuckDB, polars and pyarrow write it.

    interactions.parquet/
      _SUCCESS                          ignored, as is every name that begins with _ or .
      day=2024-01-31/part-00000.parquet   the folder's name is a column of its rows
      day=2024-02-01/part-00000.parquet

Partitions are read in the order of their paths.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.data.database import file_pattern, literal, name
from cllm4rec.errors import InputError
from cllm4rec.run import sha256_file

NULL = "__HIVE_DEFAULT_PARTITION__"
"""How a folder is named whose rows have no value in the column (Hive, Spark and pyarrow)."""

_PATH = "path of the partition"


def partition_files(folder: Path) -> list[Path]:
    """All partitions, also in subfolders, sorted by path.

    Raises:
        InputError: there are none, something else lies beside them, or whoever writes them has not
            finished.
    """
    if (folder / "_temporary").exists() and not (folder / "_SUCCESS").exists():
        raise InputError(
            f"{folder} is not finished: it has a _temporary and no _SUCCESS; wait for the job that "
            f"writes it, or run it again"
        )
    files = sorted(_visible(folder))
    for path in files:
        if path.suffix != ".parquet":
            raise InputError(
                f"{path} is no Parquet file, and a folder of partitions is of those alone; write "
                f"Parquet (Spark: DataFrame.write.parquet), or remove the file"
            )
    if not files:
        raise InputError(f"{folder} has no partition; write at least one .parquet file into it")
    return files


def relation(folder: Path) -> str:
    """SQL for the rows of all partitions, in order, to put after ``FROM``.

    A column in the names of subfolders (``key=value``) is a text, NULL in a folder named ``NULL``.

    Raises:
        InputError: see `partition_files`; or the partitions do not have the same columns.
    """
    files = partition_files(folder)
    columns = _same_columns(files)
    keys = [key for key in _same_keys(folder, files) if key.lower() not in columns]
    root = folder.resolve()
    patterns = ", ".join(literal(file_pattern(root / path.relative_to(folder))) for path in files)
    rows = f"read_parquet([{patterns}], binary_as_string=true, hive_partitioning=false"
    if not keys:
        return f"{rows})"
    # Only what is below the folder names columns, whatever stands further up.
    below = f"substr({name(_PATH)}, {len(str(root)) + 1})"
    named = "".join(f", {_value(below, key)} AS {name(key)}" for key in keys)
    return f"(SELECT * EXCLUDE ({name(_PATH)}){named} FROM {rows}, filename={literal(_PATH)}))"


def sha256_input(path: Path) -> str:
    """The sha256 of a file's bytes; of a folder of partitions: of their paths and hashes.

    Raises:
        InputError: the folder is no folder of partitions.
        OSError: there is no such file.
    """
    if not path.is_dir():
        return sha256_file(path)
    hashes = {
        each.relative_to(path).as_posix(): sha256_file(each) for each in partition_files(path)
    }
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(("_", ".")):
            continue
        if path.is_dir():
            yield from _visible(path)
        else:
            yield path


def _same_columns(files: list[Path]) -> set[str]:
    """The columns, in lower case, that all partitions have."""
    first: dict[str, str] = {}
    for path in files:
        found = _columns(path)
        if path == files[0]:
            first = found
        elif found != first:
            differ = {column for column, _ in found.items() ^ first.items()}
            raise InputError(
                f"{path} and {files[0].name} differ in the columns {', '.join(sorted(differ))}; "
                f"write all partitions with the same columns and types"
            )
    return {column.split(".")[0].lower() for column in first}


def _columns(path: Path) -> dict[str, str]:
    """Column, as stored → its type; DuckDB would cast those of others to the first file's."""
    try:
        stored = pq.read_metadata(path).schema
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"{path} cannot be read: {reason}") from None
    columns = [stored.column(place) for place in range(len(stored.names))]
    return {each.path: f"{each.physical_type} {each.logical_type}" for each in columns}


def _same_keys(folder: Path, files: list[Path]) -> list[str]:
    """The columns that subfolders name, in order of depth."""
    keys = [_keys(folder, path) for path in files]
    for path, found in zip(files, keys, strict=True):
        if found != keys[0]:
            raise InputError(
                f"{path} lies in folders of the columns {', '.join(found) or 'none'}, "
                f"{files[0].name} of {', '.join(keys[0]) or 'none'}; partition all rows alike"
            )
    return keys[0]


def _keys(folder: Path, path: Path) -> list[str]:
    names = [part.partition("=") for part in path.relative_to(folder).parts[:-1]]
    return [key for key, equals, _ in names if key and equals]


def _value(below: str, key: str) -> str:
    """SQL for the value that a path gives a column; Spark and pyarrow write it as in a URL."""
    escaped = "".join(letter if letter.isalnum() else f"\\x{{{ord(letter):x}}}" for letter in key)
    given = f"regexp_extract({below}, {literal(f'/{escaped}=([^/]*)/')}, 1)"
    return f"url_decode(nullif({given}, {literal(NULL)}))"
