"""Users left out by the split; they get lists from their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec.data.arguments import is_text
from cllm4rec.data.database import literal, one_number, stream
from cllm4rec.data.split import OLDEST_FIRST
from cllm4rec.errors import IntegrityError
from cllm4rec.run import Opened

USERS = "left_out.parquet"
ITEMS = "left_out.npy"

_WHY = {
    "users_below_minimum": "fewer positives than data.minimum_interactions",
    "users_without_training": "no row in training",
    "users_not_in_split": "not in the split file",
    "users_refused": "no usable row",
    "users_without_interactions": "in users.* alone, without a history",
}
"""Counts of users in the report of ``prepare`` → what they lack."""


class Had(NamedTuple):
    """What a user who was left out has had.

    Attributes:
        history: numbers of positive items, oldest first, ``int32 [items]``.
        excluded: numbers of items that were rated low, which no list has again, ``int32 [items]``.
    """

    history: NDArray[np.int32]
    excluded: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Users below ``data.minimum_interactions``, without a training row, or not in a split file.

    Nothing is trained or evaluated on them. Their files are read at every question and are not held
    in memory: there may be more of them than of numbered users.

    Attributes:
        opened: the folder of prepared data.
    """

    opened: Opened

    def find(self, user_ids: Sequence[str]) -> dict[str, Had]:
        """Those of the ids that were left out, and what of the catalogue they have had.

        Data prepared before 2026-12-02 do not say what they rated low.

        Raises:
            IntegrityError: a file is missing or damaged, or other data have taken their place.
        """
        wanted = pa.array([each for each in user_ids if is_text(each)], pa.string())
        with self.opened.reading() as folder:
            try:
                rows = pq.read_table(
                    folder / USERS, filters=pc.field("user_id").isin(wanted)
                ).to_pylist()
                items = np.load(folder / ITEMS, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError, pa.ArrowException):
                raise IntegrityError(
                    f"{folder / USERS} or {ITEMS} is missing or damaged; prepare the data again"
                ) from None
        return {row["user_id"]: _had(row, items) for row in rows}


def users_left_out(report: Mapping[str, Any]) -> dict[str, int]:
    """Users who are not among the numbered ones, by reason; a reason that none has is not there.

    Args:
        report: of ``prepare``.
    """
    return {why: report[count] for count, why in _WHY.items() if report.get(count)}


def write_left_out(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Write ``left_out.parquet`` (``user_id, known, low, first``) and ``left_out.npy``.

    From place ``first`` of the item numbers on a user owns ``known`` positives, oldest first, and
    then ``low`` others. Needs the tables ``user_codes``, ``users``, ``items`` and ``pairs``.

    Returns:
        How many users there are.
    """
    connection.execute("""
        CREATE TABLE left_out_pairs AS
        SELECT user_code, items.number AS item, positive, timestamp, position, tie
        FROM pairs JOIN items ON items.code = pairs.item_code
        WHERE user_code NOT IN (SELECT code FROM users)
    """)
    connection.execute(f"""
        COPY (SELECT user_id, known, low,
                     (sum(known + low) OVER (ORDER BY code) - known - low)::BIGINT AS first
              FROM (SELECT user_id, code, count(item) FILTER (positive) AS known,
                           count(item) FILTER (NOT positive) AS low
                    FROM user_codes LEFT JOIN left_out_pairs ON user_code = code
                    WHERE code NOT IN (SELECT code FROM users) GROUP BY user_id, code)
              ORDER BY code)
        TO {literal(str(folder / USERS))} (FORMAT parquet, COMPRESSION zstd)
    """)
    total = one_number(connection, "SELECT count(*) FROM left_out_pairs")
    # numpy cannot map an empty file.
    items = np.lib.format.open_memmap(
        folder / ITEMS, mode="w+", dtype="<i4", shape=(max(1, total),)
    )
    start = 0
    for batch in stream(
        connection,
        f"SELECT item FROM left_out_pairs ORDER BY user_code, positive DESC, {OLDEST_FIRST}",
    ):
        items[start : start + len(batch)] = batch.column(0).to_numpy()
        start += len(batch)
    assert start == total, (start, total)
    items.flush()
    return one_number(
        connection,
        "SELECT count(*) FROM user_codes WHERE code NOT IN (SELECT code FROM users)",
    )


def _had(row: Mapping[str, Any], items: NDArray[np.int32]) -> Had:
    low = row["first"] + row["known"]
    last = low + row.get("low", 0)
    return Had(
        *(np.array(items[of], np.int32) for of in (slice(row["first"], low), slice(low, last)))
    )
