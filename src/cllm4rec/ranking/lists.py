"""Ranked lists and the top-k file; external ids come back here and nowhere earlier."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec.data.float_ids import arrow_ids
from cllm4rec.data.ids import IdMap
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.topk_files import is_csv, topk_files
from cllm4rec.errors import InputError, UnknownId, shortened
from cllm4rec.ranking.list_files import list_writer
from cllm4rec.ranking.list_table import SCHEMA, list_table
from cllm4rec.ranking.topk import NO_ITEM, top_k

ROW_GROUP = 1 << 16
"""Rows of a top-k file that are held as text at once."""


@dataclass(frozen=True, slots=True)
class RankedItems:
    """The best items of some users, best first.

    Attributes:
        users: user numbers ``int32 [U]``.
        items: item numbers ``int32 [U, k]``; −1 where a list is shorter than ``k``.
        scores: ``float32 [U, k]``; −inf where there is no item.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def empty(cls, users: NDArray[np.int32], k: int) -> "RankedItems":
        """Empty lists of ``k`` places."""
        shape = (len(users), k)
        items = np.full(shape, NO_ITEM, dtype=np.int32)
        return cls(users, items, np.full(shape, -np.inf, dtype=np.float32))

    def fill(
        self,
        rows: NDArray[np.integer[Any]],
        scores: NDArray[np.float32],
        known: Interactions,
        *,
        allowed: NDArray[np.bool_] | None = None,
    ) -> None:
        """Put the best items into some rows; see :func:`cllm4rec.ranking.top_k`.

        Args:
            rows: of the lists.
            scores: ``[rows, items]``.
            known: items to exclude, one row per row of ``scores``.
            allowed: ``bool [items]``; if given, only these are listed.

        Raises:
            RunError: a score is NaN or +inf.
        """
        k = self.items.shape[1]
        self.items[rows], self.scores[rows] = top_k(scores, known, k, allowed=allowed)

    def write(self, path: Path, users: IdMap, items: IdMap) -> None:
        """Write the top-k file: ``user_id, item_id, rank`` (1 = best), ``score``.

        Written atomically; one row group at a time is held as text. CSV for a name that ends in
        ``.csv``, else Parquet.
        """
        write_lists(path, users.external.take(pa.array(self.users)), self, items)

    @classmethod
    def read(cls, path: Path, users: IdMap, items: IdMap, k: int) -> "RankedItems":
        """Read any top-k file; lists are cut to ``k`` and sorted by user number.

        A folder is read as all its ``*.parquet`` files; each user's list is in one of them.

        Raises:
            InputError: the folder is not finished or empty; a file is absent, is no Parquet, lacks
                a column, or has a value of the wrong kind, a null, ranks other than 1..n, a
                repeated item, or scores that rise with the rank.
            UnknownId: a user or an item that the prepared data does not know.
        """
        parts = [part for file in topk_files(path) for part in _read_columns(file, users, items)]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort((columns[2], columns[0]))
        user, item, rank, score = (column[order] for column in columns)
        starts = np.flatnonzero(np.diff(user, prepend=-1))
        lengths = np.diff(starts, append=len(user))
        position = np.arange(len(user)) - np.repeat(starts, lengths)
        _refuse(rank != position + 1, "ranks are not 1..n without gaps", path, users, user)
        _refuse(~np.isfinite(score), "a score is not a finite number", path, users, user)
        rises = (np.diff(score, prepend=np.inf) > 0) & (position > 0)
        _refuse(rises, "a score is higher than the one ranked before it", path, users, user)
        by_item = np.lexsort((item, user))
        same = (np.diff(user[by_item], prepend=-1) == 0) & (np.diff(item[by_item], prepend=-1) == 0)
        _refuse(same, "an item is listed twice", path, users, user[by_item])
        kept = position < k
        row = np.repeat(np.arange(len(starts)), lengths)[kept]
        ranked = np.full((len(starts), k), NO_ITEM, dtype=np.int32)
        scores = np.full((len(starts), k), -np.inf, dtype=np.float32)
        ranked[row, position[kept]] = item[kept]
        scores[row, position[kept]] = score[kept]
        return cls(user[starts].astype(np.int32), ranked, scores)


def write_lists(path: Path, user_ids: Any, ranked: RankedItems, catalogue: IdMap) -> int:
    """Write a top-k file for users given by id; see :meth:`RankedItems.write`.

    Args:
        path: the file.
        user_ids: Arrow array of strings, one id per list.
        ranked: the lists; their user numbers are ignored.
        catalogue: ids of the items.

    Returns:
        Rows written.
    """
    step = max(1, ROW_GROUP // max(1, ranked.items.shape[1]))
    written = 0
    with list_writer(path) as write:
        for start in range(0, len(ranked), step):
            block = slice(start, start + step)
            items, scores = ranked.items[block], ranked.scores[block]
            table = list_table(user_ids.slice(start, step), items, scores, catalogue)
            write(table)
            written += table.num_rows
    return written


def _read_columns(path: Path, users: IdMap, items: IdMap) -> Iterator[tuple[NDArray[Any], ...]]:
    """Batches of (user numbers, item numbers, ranks, scores); at least one, maybe empty."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{path} has no column {missing[0]}; a top-k file has {', '.join(SCHEMA.names)}"
                )
            yield (*(np.empty(0, np.int32) for _ in range(3)), np.empty(0, np.float32))
            for batch in file.iter_batches(ROW_GROUP, columns=SCHEMA.names):
                columns = [_cast(batch.column(field.name), field, path) for field in SCHEMA]
                yield (
                    _numbers(columns[0], users, path),
                    _numbers(columns[1], items, path),
                    columns[2].to_numpy(),
                    columns[3].to_numpy(),
                )
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or 'damaged file'}") from None
    except pa.ArrowInvalid:
        if is_csv(path):
            raise InputError(
                f"{path} is CSV, and lists are scored as Parquet: write them with --out "
                f"FILE.parquet, or convert the file"
            ) from None
        raise InputError(f"{path} is not a Parquet file; give a top-k file") from None


def _cast(column: Any, field: Any, path: Path) -> Any:
    if column.null_count:
        raise InputError(f"{path}: column {field.name} holds a null; leave such rows out")
    try:
        if pa.types.is_string(field.type):
            column = arrow_ids(column, field.name)
        return pc.cast(column, field.type)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(
            f"{path}: column {field.name} is {column.type} and not all of it reads as {field.type}"
        ) from None


def _numbers(ids: Any, known: IdMap, path: Path) -> NDArray[np.int32]:
    encoded = ids.dictionary_encode()
    try:
        numbers = known.numbers(encoded.dictionary.to_pylist())
    except UnknownId as error:
        raise UnknownId(f"{path}: {error}") from None
    every: NDArray[np.int32] = numbers[encoded.indices.to_numpy()]
    return every


def _refuse(
    bad: NDArray[np.bool_], what: str, path: Path, users: IdMap, user: NDArray[np.int32]
) -> None:
    if bad.any():
        user_id = repr(users.id(int(user[int(np.argmax(bad))])))
        raise InputError(f"{path}: user {shortened(user_id)}: {what}")
