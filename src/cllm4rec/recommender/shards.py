"""The output folder of ``recommend --all``: lists in shards, resumable.

    OUT/
      _batch.json           model, data, filters, k and shard size; a call with others is refused
      part-00000.parquet    lists of the first users
      _part-00000.json      written next: users, rows and sha256 of the shard
      _SUCCESS              all shards with their sha256; written last

What is no list begins with ``_``, so that others read the folder as one of Parquet files.
Files are written atomically (`run`), so a killed process leaves each shard either done or not
begun. Processes need not communicate: a shard's number determines its process.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from cllm4rec import progress
from cllm4rec.data.ids import IdMap
from cllm4rec.data.topk_files import BATCH, EARLIER_BATCH
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.ranking import RankedItems, write_lists
from cllm4rec.run import make_folder, read_json, sha256_file, write_json

FORMAT = 3
"""Format number of the folder; others are refused."""

_NAMES = {
    "format": "in another format",
    "model": "of another model or other data",
    "histories": "of other histories",
    "filters": "with other filters",
    "k": "of another k",
    "shard_users": "cut by another --shard-users",
    "users": "of another number of users",
}


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of the audience.

    Attributes:
        number: of the shard, from 0.
        start: first row.
        end: one past the last row.
    """

    number: int
    start: int
    end: int

    @property
    def name(self) -> str:
        """Name of its lists, without suffix."""
        return f"part-{self.number:05}"


def usable(folder: Path) -> bool:
    """Create the folder if needed; return whether it already has a ``_batch.json``.

    Raises:
        InputError: it is a file, was begun by an earlier version, or contains something else.
    """
    make_folder(folder, "--out")
    # List before checking: another process may write the first files in between.
    foreign = [x.name for x in folder.iterdir() if not x.name.startswith(".")]
    begun = (folder / BATCH).is_file()
    if EARLIER_BATCH in foreign:
        raise InputError(
            f"--out {folder} was begun by an earlier version (it has a {EARLIER_BATCH}), whose "
            f"lists stay as they are; choose another folder"
        )
    if foreign and not begun:
        raise InputError(f"--out {folder} is not empty and holds no {BATCH}; choose another folder")
    return begun


@dataclass(frozen=True)
class ShardFolder:
    """Lists of all users of an audience, in shards.

    Attributes:
        path: of the folder.
        model: sha256 of the model and its data.
        histories: sha256 of the histories file; None for the users of the run.
        k: length of the lists.
        shard_users: users per shard.
        users: total number of users.
        filters: record of the filters; None without any.
    """

    path: Path
    model: str
    histories: str | None
    k: int
    shard_users: int
    users: int
    filters: dict[str, Any] | None = None

    def open(self) -> None:
        """Start a new folder or resume an existing one.

        Raises:
            InputError: it has another model, k, filters or shard size, or contains something else.
        """
        request = self._request
        if not usable(self.path):
            write_json(self.path / BATCH, request)
            return
        found = read_json(self.path / BATCH)
        for key, what in _NAMES.items():
            if not isinstance(found, dict) or found.get(key) != request[key]:
                raise InputError(
                    f"--out {self.path} holds lists {what} ({key} differs in {BATCH}); "
                    f"choose another folder or remove this one"
                )

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards, in order."""
        starts = range(0, self.users, self.shard_users)
        return [
            Shard(number, start, min(start + self.shard_users, self.users))
            for number, start in enumerate(starts)
        ]

    def own(self, rank: int, world_size: int) -> list[Shard]:
        """The shards of one of ``world_size`` processes: every ``world_size``-th."""
        return self.shards[rank::world_size]

    def is_done(self, shard: Shard) -> bool:
        """Whether a shard exists and matches its record; otherwise it must be rewritten."""
        record, lists = self._record(shard), self._lists(shard)
        if not record.is_file() or not lists.is_file():
            return False
        found = self._read(shard)
        if found is None or sha256_file(lists) != found["sha256"]:
            progress.note(f"{lists.name} is not what its record says: it is written anew")
            return False
        return True

    def write(self, shard: Shard, user_ids: Any, ranked: RankedItems, items: IdMap) -> None:
        """Write a shard's lists, then its record.

        Args:
            shard: to write.
            user_ids: Arrow array of strings, ``[end - start]``.
            ranked: the lists, in the same order.
            items: item ids.
        """
        self._record(shard).unlink(missing_ok=True)
        for file in (self._lists(shard), self._record(shard)):
            for leftover in self.path.glob(f".{file.name}.tmp-*"):
                leftover.unlink(missing_ok=True)
        rows = write_lists(self._lists(shard), user_ids, ranked, items)
        sha256 = sha256_file(self._lists(shard))
        write_json(self._record(shard), self._described(shard, rows, sha256))

    def finish(self) -> bool:
        """Write ``_SUCCESS`` once every shard has its record; the last process does it.

        Raises:
            IntegrityError: a record does not belong to this folder.
        """
        if not all(self._record(shard).is_file() for shard in self.shards):
            return False
        records: dict[str, dict[str, Any]] = {}
        for shard in self.shards:
            record = self._read(shard)
            if record is None:
                raise IntegrityError(
                    f"{self._record(shard)} is not of this model, k and cut; remove it and run the "
                    f"same command again"
                )
            records[shard.name] = record
        write_json(
            self.path / "_SUCCESS",
            {
                **self._request,
                "rows": sum(record["rows"] for record in records.values()),
                "files": {
                    self._lists(shard).name: records[shard.name]["sha256"] for shard in self.shards
                },
            },
        )
        return True

    @property
    def _request(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model": self.model,
            "histories": self.histories,
            "filters": self.filters,
            "k": self.k,
            "shard_users": self.shard_users,
            "users": self.users,
        }

    def _read(self, shard: Shard) -> dict[str, Any] | None:
        """A shard's record; None if it is damaged or does not match."""
        try:
            found = read_json(self._record(shard))
        except IntegrityError:
            return None
        if not isinstance(found, dict):
            return None
        wanted = self._described(shard, found.get("rows"), found.get("sha256"))
        return found if found == wanted and isinstance(found["rows"], int) else None

    def _described(self, shard: Shard, rows: Any, sha256: Any) -> dict[str, Any]:
        bounds = [shard.start, shard.end]
        return {
            "model": self.model,
            "k": self.k,
            "filters": self.filters,
            "users": bounds,
            "rows": rows,
            "sha256": sha256,
        }

    def _lists(self, shard: Shard) -> Path:
        return self.path / f"{shard.name}.parquet"

    def _record(self, shard: Shard) -> Path:
        return self.path / f"_{shard.name}.json"


def ids_of(ids: pa.LargeStringArray, shard: Shard) -> Any:
    """View of a shard's user ids."""
    return ids.slice(shard.start, shard.end - shard.start)
