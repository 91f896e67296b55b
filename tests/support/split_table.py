"""Protocols on a handful of pairs, without files."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from cllm4rec.data.checks import PARTS
from cllm4rec.data.numbering import make_codes, make_pairs
from cllm4rec.data.split import split_by_protocol

LOG = pa.schema([
    ("row", pa.int64()),
    ("user_id", pa.string()),
    ("item_id", pa.string()),
    ("timestamp", pa.float64()),
    ("position", pa.float64()),
    ("positive", pa.bool_()),
    ("reason", pa.string()),
])


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


@contextmanager
def empty_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A schema of its own in one database; to open another takes longer than to split."""
    connection = _database()
    connection.execute("CREATE SCHEMA one_split")
    connection.execute("SET schema = 'one_split'")
    try:
        yield connection
    finally:
        connection.unregister("rows")
        connection.execute("SET schema = 'main'")
        connection.execute("DROP SCHEMA one_split CASCADE")


def split_pairs(
    rows: Sequence[dict[str, Any]], protocol: str, seed: int = 0
) -> dict[tuple[str, str], str]:
    """Part of every (user id, item id) that the protocol keeps; a pair kept twice fails."""
    numbered = [
        {name: row.get(name) for name in LOG.names} | {"row": place, "positive": True}
        for place, row in enumerate(rows)
    ]
    with empty_database() as connection:
        connection.register("rows", pa.Table.from_pylist(numbered, LOG))
        connection.execute("CREATE TABLE log AS SELECT * FROM rows")
        make_codes(connection, seed)
        make_pairs(connection)
        connection.execute("CREATE TABLE eligible AS SELECT * FROM pairs")
        split_by_protocol(connection, protocol)
        kept = connection.execute(
            "SELECT user_id, item_id, part FROM parted "
            "JOIN user_codes ON user_codes.code = user_code "
            "JOIN item_codes ON item_codes.code = item_code"
        ).fetchall()
    parts = {(user_id, item_id): PARTS[part] for user_id, item_id, part in kept}
    assert len(parts) == len(kept)
    return parts
