"""Histories of users not in a run, from one file of any size."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from cllm4rec.config import DataConfig
from cllm4rec.data.checks import load_interactions, refused
from cllm4rec.data.database import open_database, stream
from cllm4rec.data.ids import IdMap
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.reading import open_file
from cllm4rec.data.split import LATEST_ROW, OLDEST_FIRST, TIE
from cllm4rec.errors import InputError
from cllm4rec.run import make_folder


def read_histories(
    path: Path, items: IdMap, folder: Path, config: DataConfig
) -> tuple[IdMap, Interactions, dict[str, int]]:
    """Sort a file's rows into histories, oldest first, users by their ids.

    Of a repeated pair the newest row is kept, as in ``prepare``. Rows that cannot be used, and
    items that the run does not know, are left out and counted.

    Args:
        path: ``user_id, item_id`` and, for an order other than the file's, ``timestamp`` or
            ``position``, under these names or those of the run's own data.
        items: the run's catalogue.
        folder: an absent or empty folder for the sorted histories, which are memory-mapped.
        config: how the run's own files were read.

    Returns:
        The users, their histories, and how many rows were left out, by reason.

    Raises:
        InputError: the file cannot be read, lacks a column, or no row of it can be used.
    """
    scratch = folder / "scratch"
    make_folder(scratch)
    try:
        with open_database(scratch, config.memory_limit) as connection:
            # `positive` plays no part: what stands in a history is what the user was taken by.
            file = open_file(connection, path, config, settable=False)
            load_interactions(connection, [file], minimum_rating=0.0)
            left_out = _make_pairs(connection, items)
            histories = _write(connection, folder, len(items))
            ids = [
                batch.column(0).cast(pa.large_string())
                for batch in stream(connection, "SELECT user_id FROM askers ORDER BY number")
            ]
    finally:
        shutil.rmtree(scratch)
    if not len(histories):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in left_out.items())
        raise InputError(
            f"no row of {path} can be used ({reasons or 'it is empty'}); "
            f"give user_id, item_id and, if known, timestamp or position; "
            f"item ids as in the run's data"
        )
    return IdMap(pa.concat_arrays(ids), "user"), histories, left_out


def _make_pairs(connection: duckdb.DuckDBPyConnection, items: IdMap) -> dict[str, int]:
    """The tables ``askers`` (``number, user_id``) and ``known`` from ``log``."""
    connection.register(
        "catalogue",
        pa.table({"item_id": items.external, "item": np.arange(len(items), dtype=np.int32)}),
    )
    connection.execute("""
        UPDATE log SET reason = 'unknown item'
        WHERE reason IS NULL AND item_id NOT IN (SELECT item_id FROM catalogue)
    """)
    connection.execute(f"""
        CREATE TABLE known AS
        SELECT user_id, item, timestamp, position, {TIE} AS tie
        FROM log JOIN catalogue USING (item_id) WHERE reason IS NULL
        QUALIFY row_number() OVER (PARTITION BY user_id, item ORDER BY {LATEST_ROW}) = 1
    """)
    left_out = refused(connection, "log")
    connection.execute("DROP TABLE log")
    connection.execute("""
        CREATE TABLE askers AS
        SELECT (row_number() OVER (ORDER BY user_id) - 1)::INTEGER AS number, user_id
        FROM (SELECT DISTINCT user_id FROM known)
    """)
    return left_out


def _write(connection: duckdb.DuckDBPyConnection, folder: Path, num_items: int) -> Interactions:
    """``items.npy`` in the order of the histories, streamed and memory-mapped."""
    ((total, num_users),) = connection.execute(
        "SELECT (SELECT count(*) FROM known), (SELECT count(*) FROM askers)"
    ).fetchall()
    counts = np.zeros(num_users, np.int64)
    # numpy cannot map an empty file.
    items = np.lib.format.open_memmap(
        folder / "items.npy", mode="w+", dtype="<i4", shape=(max(1, total),)
    )
    start = 0
    for batch in stream(
        connection,
        f"SELECT number, item FROM known JOIN askers USING (user_id) "
        f"ORDER BY number, {OLDEST_FIRST}",
    ):
        numbers, found = (column.to_numpy() for column in batch.columns)
        items[start : start + len(found)] = found
        counts += np.bincount(numbers, minlength=num_users)
        start += len(found)
    items.flush()
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    mapped = np.load(folder / "items.npy", mmap_mode="r", allow_pickle=False)
    return Interactions(offsets, np.asarray(mapped)[:total], num_items)
