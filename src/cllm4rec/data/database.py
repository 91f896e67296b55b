"""DuckDB within a stated amount of memory."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from cllm4rec.data.markup import plain
from cllm4rec.errors import InputError
from cllm4rec.interrupts import interruptible

THREADS = 2
BATCH_ROWS = 65_536
PLAIN = "plain_text"
"""`markup.plain` in SQL."""


@contextmanager
def open_database(folder: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a file of ``folder``, which also takes what does not fit into memory.

    Args:
        folder: an empty folder, to be removed by the caller.
        memory_limit: DuckDB's, such as ``"1GB"``.

    Raises:
        InputError: a query within the block needs more memory than the limit, or DuckDB cannot
            open a database under this path.
        OSError: the disk is full (``errno.ENOSPC``).
        KeyboardInterrupt: Ctrl-C came in, which ends a query at once.
    """
    folder = folder.resolve()
    # DuckDB takes what follows ? for settings, and a backslash for a slash.
    for unusable in {"?", "\\"} - {os.sep}:
        if unusable in str(folder):
            raise InputError(
                f"{folder.parent} has a {unusable} in its path, where DuckDB cannot open its "
                f"database; choose a folder without one"
            )
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(folder / "spill"),
        "threads": THREADS,
        # Row numbers of the input files are given by an order-keeping scan.
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(str(folder / "prepare.duckdb"), config=options) as connection:
        connection.execute("SET enable_progress_bar = false")
        # What a time with a zone is as text must not depend on the machine.
        connection.execute("SET TimeZone = 'UTC'")
        connection.create_function(PLAIN, plain, ["VARCHAR"], "VARCHAR")
        try:
            with interruptible(connection.interrupt):
                yield connection
        except duckdb.Error as error:
            raise resource_error(error, memory_limit) or error from None


def stream(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    """The rows of a query as Arrow batches; never all of them at once."""
    rows = connection.sql(query)
    # Renamed in DuckDB 2.0; both majors are supported.
    open_reader = getattr(rows, "to_arrow_reader", None) or rows.fetch_record_batch
    yield from open_reader(BATCH_ROWS)


def scratch_folder(connection: duckdb.DuckDBPyConnection) -> Path:
    """The folder of the database, which is removed with it."""
    ((path,),) = connection.execute(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchall()
    return Path(path).parent


def one_number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The single number a query gives."""
    ((number,),) = connection.execute(query).fetchall()
    return int(number)


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def name(column: str) -> str:
    """A column name, quoted for SQL."""
    return '"' + column.replace('"', '""') + '"'


def file_pattern(path: Path) -> str:
    """A glob pattern that matches only this file: DuckDB reads every path as a pattern."""
    return re.sub(r"[*?[]", r"[\g<0>]", str(path.absolute()))


def resource_error(error: duckdb.Error, memory_limit: str) -> Exception | None:
    """The error to raise if the machine, not the input, was at fault; else None."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return InputError(
            f"data.memory_limit = {memory_limit} is too little for this input; "
            f"give more, e.g. --set data.memory_limit=4GB"
        )
    if "No space left" in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None
