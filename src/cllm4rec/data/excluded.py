"""What users have had and no part holds: nothing is learned from it, and no list has it again.

A user rated it low, a split file lacks it, or a protocol leaves it out. A model sees none of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cllm4rec.data.arrays import new_array, open_array
from cllm4rec.data.database import one_number, stream
from cllm4rec.data.interactions import Interactions

OFFSETS = "excluded_offsets.npy"
ITEMS = "excluded.npy"
COUNT = "pairs_excluded"
"""In the report of ``prepare``: how many there are. They are among the pairs that it says are not
positive, not in the split, or without training."""


def write_excluded(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Write ``excluded_offsets.npy`` and ``excluded.npy`` (item numbers), by user, then item.

    Only users and items of the run have any. Needs the tables ``users``, ``items``, ``pairs`` and
    ``parted``.

    Returns:
        How many pairs there are.
    """
    connection.execute("""
        CREATE TABLE excluded AS
        SELECT users.number AS user_number, items.number AS item_number
        FROM pairs ANTI JOIN parted USING (user_code, item_code)
        JOIN users ON users.code = pairs.user_code JOIN items ON items.code = pairs.item_code
    """)
    total = one_number(connection, "SELECT count(*) FROM excluded")
    num_users = one_number(connection, "SELECT count(*) FROM users")
    items = new_array(folder / ITEMS, "<i4", total)
    counts = np.zeros(num_users + 1, dtype=np.int64)
    start = 0
    for batch in stream(
        connection,
        "SELECT user_number, item_number FROM excluded ORDER BY user_number, item_number",
    ):
        user_column, item_column = (column.to_numpy() for column in batch.columns)
        items[start : start + len(item_column)] = item_column
        counts[1:] += np.bincount(user_column, minlength=num_users)
        start += len(item_column)
    assert start == total, (start, total)
    items.flush()
    np.save(folder / OFFSETS, np.cumsum(counts))
    return total


def open_excluded(
    folder: Path, report: Mapping[str, Any], num_users: int, num_items: int
) -> Interactions:
    """What `write_excluded` wrote, memory-mapped; none in data that were prepared before it did.

    Args:
        folder: of prepared data.
        report: of ``prepare``; says whether there are such files.
        num_users: users of the data.
        num_items: size of the catalogue.

    Raises:
        IntegrityError: a file is missing or damaged.
    """
    if COUNT not in report:
        return Interactions.none(num_users, num_items)
    return Interactions(open_array(folder / OFFSETS), open_array(folder / ITEMS), num_items)
