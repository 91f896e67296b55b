"""Ranked lists: the best items of every user, known ones left out, and the top-k file.

Ties go to the smaller item number, so that a ranking is a pure function of the scores. External ids
come back here and nowhere earlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.ids import IdMap
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.topk_files import topk_files
from cllm4rec.errors import InputError, RunError, UnknownId
from cllm4rec.run import atomic_write

NO_ITEM = -1
"""Stands in a list where there was no further candidate."""
ROW_GROUP = 1 << 16
"""Rows of a top-k file that are held as text at once."""

_SCHEMA = pa.schema([
    pa.field("user_id", pa.string(), nullable=False),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("rank", pa.int32(), nullable=False),
    pa.field("score", pa.float32(), nullable=False),
])
_REPEATED = ["user_id", "item_id", "rank"]
"""Columns in which values come again; a dictionary of the scores would take time and room."""
_LOW_BITS = np.int64(0xFFFFFFFF)


class Scorer(Protocol):
    """Whatever can score the catalogue for users: baselines, the model, an ensemble."""

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``[batch, items]``, higher is better, finite; −inf means never.

        Args:
            users: user numbers, ``[batch]``.
            history: the items known of them, one row per entry of ``users``.
        """
        ...


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
        """Lists of ``k`` places with no item in them yet."""
        shape = (len(users), k)
        items = np.full(shape, NO_ITEM, dtype=np.int32)
        return cls(users, items, np.full(shape, -np.inf, dtype=np.float32))

    def write(self, path: Path, users: IdMap, items: IdMap) -> None:
        """Write the top-k file: Parquet ``user_id, item_id, rank`` (1 = best), ``score``.

        It appears under its name when it is whole; one row group at a time is held as text.
        """
        write_lists(path, users.external.take(pa.array(self.users)), self, items)

    @classmethod
    def read(cls, path: Path, users: IdMap, items: IdMap, k: int) -> "RankedItems":
        """Read anyone's top-k file, longest lists cut to ``k``; users in order of their numbers.

        A folder stands for all ``*.parquet`` in it, as one file; a user's list is in one of them.

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


def write_lists(path: Path, user_ids: Any, ranked: RankedItems, items: IdMap) -> int:
    """Write a top-k file of users whom no numbering need know; see :meth:`RankedItems.write`.

    Args:
        path: the file.
        user_ids: Arrow array of text, the id of every list.
        ranked: the lists; their user numbers play no part.
        items: ids of the items.

    Returns:
        Rows written.
    """
    step = max(1, ROW_GROUP // max(1, ranked.items.shape[1]))
    written = 0
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(
            temporary, _SCHEMA, compression="zstd", use_dictionary=_REPEATED
        ) as writer,
    ):
        for start in range(0, len(ranked), step):
            block = slice(start, start + step)
            rows, columns = np.nonzero(ranked.items[block] != NO_ITEM)
            listed = [
                pc.cast(user_ids.slice(start, step).take(pa.array(rows)), pa.string()),
                pc.cast(
                    items.external.take(pa.array(ranked.items[block][rows, columns])), pa.string()
                ),
                pa.array(columns + 1, pa.int32()),
                pa.array(ranked.scores[block][rows, columns], pa.float32()),
            ]
            writer.write_table(pa.table(listed, schema=_SCHEMA))
            written += len(rows)
    return written


def list_length(k: int, num_items: int) -> int:
    """``k``, but no more than the catalogue holds: every place of a list takes memory.

    Raises:
        InputError: ``k`` is no whole number, or not positive.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise InputError(f"k = {k!r} is no whole number; give a k of at least 1")
    if k < 1:
        raise InputError(f"k = {k} asks for no item; give a k of at least 1")
    return min(int(k), num_items)


def top_k(
    scores: NDArray[np.floating[Any]],
    known: Interactions,
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``k`` best items of every row, best first; ties go to the smaller item number.

    Args:
        scores: ``[batch, items]``, compared as float32; −inf means never.
        known: items to leave out, one row per row of ``scores``.
        k: length of the lists.
        allowed: ``bool [items]``; where given, nothing else is listed.

    Returns:
        Items ``int32 [batch, k]`` and scores ``float32 [batch, k]``; a list that ran out of
        candidates ends in item −1 with score −inf.

    Raises:
        RunError: a score is NaN or +inf.
    """
    # Adding zero makes −0 a +0: they compare equal, but their bits do not.
    masked = np.add(scores, np.float32(0), dtype=np.float32)
    if not (masked < np.inf).all():
        row = int(np.flatnonzero(~(masked < np.inf).all(axis=1))[0])
        raise RunError(
            f"row {row} of the scores holds a NaN or +inf: the model has diverged; "
            f"train again with a lower learning_rate (finetune.learning_rate for a run's model)"
        )
    masked[known.users(), known.items] = -np.inf
    if allowed is not None:
        masked[:, ~allowed] = -np.inf
    num_items = masked.shape[1]
    taken = min(k, num_items)
    # One integer per candidate, score above and item below, sorts both ways in one partition.
    keys = _ordered(masked.view(np.int32)).astype(np.int64) << 32
    keys |= _LOW_BITS - np.arange(num_items, dtype=np.int64)
    if taken < num_items:
        keys = np.partition(keys, num_items - taken, axis=1)[:, num_items - taken :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    items = np.full((len(masked), k), NO_ITEM, dtype=np.int32)
    best = np.full((len(masked), k), -np.inf, dtype=np.float32)
    best[:, :taken] = _ordered((keys >> 32).astype(np.int32)).view(np.float32)
    items[:, :taken] = _LOW_BITS - (keys & _LOW_BITS)
    items[best == -np.inf] = NO_ITEM
    return items, best


def standardised(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Every row divided by its standard deviation, so that two models' scores can be added.

    A row of equal scores stays as it is.
    """
    spread = scores.std(axis=1, keepdims=True)
    return np.asarray(scores / np.where(spread > 0, spread, 1), dtype=np.float32)


def root_likelihood(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Square roots of the items' softmax probabilities, relative to each row's likeliest item.

    The order of the logits stays; what is far below the best is drawn together. Regression scores
    are of this kind, and logits added to them would weigh differences among unlikely items that
    say nothing (docs/decisions/0014).
    """
    with np.errstate(invalid="ignore"):  # what is no number stays none, and `top_k` refuses it
        return np.asarray(np.exp((logits - logits.max(axis=1, keepdims=True)) / 2), np.float32)


def rank_all(
    scorer: Scorer,
    users: NDArray[np.int32],
    known: Interactions,
    k: int,
    *,
    batch_users: int = 256,
    allowed: NDArray[np.bool_] | None = None,
    progress_label: str = "Ranking",
) -> RankedItems:
    """Rank the catalogue for many users, a batch at a time: no users × items matrix exists.

    Args:
        scorer: scores a batch of users from their known items.
        users: user numbers ``[U]``.
        known: what is known of every user of the data; it is the scorer's input and is left out of
            the lists.
        k: length of the lists.
        batch_users: users scored at once.
        allowed: ``bool [items]``; where given, nothing else is listed.
        progress_label: what the progress line says.
    """
    users = np.asarray(users, dtype=np.int32)
    items = np.empty((len(users), k), dtype=np.int32)
    scores = np.empty((len(users), k), dtype=np.float32)
    with progress.task(progress_label, total=len(users), unit="user") as task:
        for start in range(0, len(users), batch_users):
            block = slice(start, start + batch_users)
            history = known.rows(users[block])
            found = top_k(scorer.score(users[block], history), history, k, allowed=allowed)
            items[block], scores[block] = found
            task.advance(history.num_users)
    return RankedItems(users, items, scores)


def _ordered(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Float32 bits as integers that sort like the floats; its own inverse."""
    ordered: NDArray[np.int32] = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return ordered


def _read_columns(path: Path, users: IdMap, items: IdMap) -> Iterator[tuple[NDArray[Any], ...]]:
    """Batches of (user numbers, item numbers, ranks, scores); at least one, maybe empty."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in _SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{path} has no column {missing[0]}; "
                    f"a top-k file has {', '.join(_SCHEMA.names)}"
                )
            yield (*(np.empty(0, np.int32) for _ in range(3)), np.empty(0, np.float32))
            for batch in file.iter_batches(ROW_GROUP, columns=_SCHEMA.names):
                columns = [_cast(batch.column(field.name), field, path) for field in _SCHEMA]
                yield (
                    _numbers(columns[0], users, path),
                    _numbers(columns[1], items, path),
                    columns[2].to_numpy(),
                    columns[3].to_numpy(),
                )
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or 'damaged file'}") from None
    except pa.ArrowInvalid:
        raise InputError(f"{path} is not a Parquet file; give a top-k file") from None


def _cast(column: Any, field: Any, path: Path) -> Any:
    if column.null_count:
        raise InputError(f"{path}: column {field.name} holds a null; leave such rows out")
    try:
        return pc.cast(column, field.type)
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
        shown = user_id if len(user_id) <= 80 else user_id[:79] + "…"
        raise InputError(f"{path}: user {shown}: {what}")
