"""Writing of the prepared files; rows are ordered by number."""

from pathlib import Path

import duckdb
import numpy as np

from cllm4rec.data.arrays import new_array
from cllm4rec.data.checks import PARTS
from cllm4rec.data.database import literal, one_number, stream
from cllm4rec.data.split import OLDEST_FIRST


def write_entities(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    numbered: str,
    rows: str,
    key: str,
    columns: dict[str, str],
) -> None:
    """Write ``users.parquet``, ``items.parquet`` or ``attributes.parquet``: one row per number.

    Args:
        connection: the database.
        path: the file.
        numbered: table of ``number`` and the id.
        rows: table of the input's rows, made by :func:`cllm4rec.data.checks.load_entities`.
        key: name of the id column.
        columns: name in the file → column of ``rows``.
    """
    selected = "".join(f", {rows}.{column} AS {_quoted(x)}" for x, column in columns.items())
    connection.execute(f"""
        COPY (SELECT {numbered}.{key} AS {key}{selected}
              FROM {numbered} LEFT JOIN {rows}
              ON {rows}.{key} = {numbered}.{key} AND {rows}.reason IS NULL
              ORDER BY {numbered}.number)
        TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)
    """)


def write_reviews(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write ``reviews.parquet`` (user, item, text), by user, then item, then place in the file."""
    connection.execute(f"""
        COPY (SELECT user_number AS "user", item_number AS item, text FROM reviews
              WHERE reason IS NULL ORDER BY user_number, item_number, row)
        TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)
    """)


def write_interactions(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Write ``offsets.npy``, ``items.npy`` and ``parts.npy``, by user, oldest first.

    Returns:
        Pairs of each part, by name.
    """
    total = one_number(connection, "SELECT count(*) FROM parted")
    num_users = one_number(connection, "SELECT count(*) FROM users")
    items = new_array(folder / "items.npy", "<i4", total)
    parts = new_array(folder / "parts.npy", "|u1", total)
    offsets = np.zeros(num_users + 1, dtype=np.int64)
    part_counts = np.zeros(len(PARTS), dtype=np.int64)
    start = 0
    for batch in stream(
        connection,
        f"""SELECT users.number AS user_number, items.number AS item_number, part
            FROM parted JOIN users ON users.code = parted.user_code
            JOIN items ON items.code = parted.item_code
            ORDER BY user_number, {OLDEST_FIRST}""",
    ):
        user_column, item_column, part_column = (column.to_numpy() for column in batch.columns)
        end = start + len(user_column)
        items[start:end] = item_column
        parts[start:end] = part_column
        offsets[1:] += np.bincount(user_column, minlength=num_users)
        part_counts += np.bincount(part_column, minlength=len(PARTS))
        start = end
    assert start == total, (start, total)
    items.flush()
    parts.flush()
    np.save(folder / "offsets.npy", np.cumsum(offsets))
    return dict(zip(PARTS, part_counts.tolist(), strict=True))


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
