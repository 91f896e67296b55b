"""IdMap: external ids to numbers and back."""

import shlex
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec.data.spellings import bare
from cllm4rec.errors import IntegrityError, UnknownId, shortened
from cllm4rec.run import atomic_write

_MOST_MEANT = 3
"""Ids in another spelling that an error message names."""
_MOST_ZEROS = 13
"""At the beginning of an id; article numbers (GTIN) have 14 digits."""


@dataclass(frozen=True, slots=True, eq=False)
class IdMap(Sequence[str]):
    """External ids, sorted by code point; an id's number is its place.

    Ids that were appended to a catalogue stand behind the others, sorted among themselves.

    Attributes:
        external: the ids, an Arrow array of ``large_string`` without nulls or repeats.
        kind: what the ids name, for error messages: ``"user"`` or ``"item"``.
        appended: how many of the ids, at the end, were appended.
    """

    external: pa.LargeStringArray
    kind: str = "id"
    appended: int = 0

    @classmethod
    def read(cls, path: Path, column: str) -> "IdMap":
        """Read back from a Parquet column, such as ``user_id`` of ``users.parquet``.

        Raises:
            IntegrityError: the file or the column is missing, or not sorted and unique.
        """
        try:
            table = pq.read_table(path, columns=[column])
        except (OSError, pa.ArrowException):
            raise IntegrityError(
                f"{path} is missing, damaged or has no column {column}; prepare the data again"
            ) from None
        chunks = table.column(column).cast(pa.large_string()).combine_chunks()
        external = (
            pa.concat_arrays(chunks.chunks) if isinstance(chunks, pa.ChunkedArray) else chunks
        )
        ascending = pc.all(pc.less(external[:-1], external[1:])).as_py() is not False
        if external.null_count or not ascending:
            raise IntegrityError(
                f"{path}: {column} is not sorted and unique; prepare the data again"
            )
        return cls(external, column.removesuffix("_id"))

    def with_appended(self, ids: Sequence[str]) -> "IdMap":
        """The same numbers, and further ones for ids, sorted, that are not among them."""
        more = pa.array(ids, pa.large_string())
        return IdMap(pa.concat_arrays([self.external, more]), self.kind, len(more))

    def write(self, path: Path, column: str) -> None:
        """Write as a Parquet file of one column, atomically."""
        with atomic_write(path) as temporary:
            pq.write_table(pa.table({column: self.external}), temporary)

    def __repr__(self) -> str:
        """A count alone: a notebook or a log shows it, and ids belong in neither."""
        return f"IdMap({len(self)} {self.kind}s)"

    def __len__(self) -> int:
        return len(self.external)

    def __iter__(self) -> Iterator[str]:
        return (external_id.as_py() for external_id in self.external)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        """Ids by number, as of a list: from the end where negative."""
        if isinstance(place, slice):
            return self.ids(range(len(self))[place])
        return self.id(place + len(self) if -len(self) <= place < 0 else place)

    def __contains__(self, external_id: object) -> bool:
        return isinstance(external_id, str) and self._find(external_id) is not None

    def number(self, external_id: str) -> int:
        """The number of one id.

        Raises:
            UnknownId: there is no such id.
        """
        found = self._find(external_id) if isinstance(external_id, str) else None
        if found is None:
            raise self.unknown(external_id)
        return found

    def numbers(self, external_ids: Sequence[str]) -> NDArray[np.int32]:
        """The numbers of many ids, in their order, as ``int32[len(external_ids)]``.

        Raises:
            UnknownId: names the first id that is not known.
        """
        try:
            wanted = pa.array(external_ids, pa.large_string())
        except (pa.ArrowException, UnicodeEncodeError, TypeError):
            # Not every Python string is text: a lone surrogate has no UTF-8.
            return np.array([self.number(each) for each in external_ids], dtype=np.int32)
        places = pc.index_in(wanted, value_set=self.external)
        if places.null_count:
            first = pc.index(places.is_null(), True).as_py()
            raise self.unknown(external_ids[first])
        return np.asarray(places.to_numpy(), dtype=np.int32)

    def id(self, number: int) -> str:
        """The id of one number.

        Raises:
            IndexError: the number is outside ``0 .. len - 1``.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"{self.kind} number {number} is outside 0..{len(self) - 1}")
        external_id: str = self.external[int(number)].as_py()
        return external_id

    def ids(self, numbers: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """The ids of many numbers, in their order.

        Raises:
            IndexError: a number is outside ``0 .. len - 1``.
        """
        places = np.asarray(numbers, dtype=np.int64)
        if len(places) and (places.min() < 0 or places.max() >= len(self)):
            raise IndexError(f"a {self.kind} number is outside 0..{len(self) - 1}")
        external_ids: list[str] = self.external.take(pa.array(places)).to_pylist()
        return external_ids

    def _find(self, external_id: str) -> int | None:
        sorted_to = len(self) - self.appended
        for start, end in ((0, sorted_to), (sorted_to, len(self))):
            place = bisect_left(
                range(end), external_id, start, key=lambda at: self.external[at].as_py()
            )
            if place < end and self.external[place].as_py() == external_id:
                return place
        return None

    def unknown(self, external_id: object, said: str = "") -> UnknownId:
        """The error for an id that is not here, with the ids that were probably meant.

        Args:
            external_id: as it was given.
            said: why it is not here, where that is known.
        """
        shown = shortened(repr(external_id))
        why = said or (self._meant(external_id) if isinstance(external_id, str) else "")
        if why:
            return UnknownId(f"unknown {self.kind} {shown}: {why}")
        had = '; others need data.catalogue = "all", or add-items' if self.kind == "item" else ""
        return UnknownId(
            f"unknown {self.kind} {shown}; this run knows {len(self)} {self.kind}s; "
            f"ids are text, as in the input files{had}"
        )

    def _meant(self, external_id: str) -> str:
        """The known ids that an unknown one stands for, as advice; empty if there are none."""
        known = dict.fromkeys(each for each in _other_spellings(external_id) if each in self)
        near = [shortened(repr(each)) for each in list(known)[:_MOST_MEANT]]
        if near:
            return f"did you mean {' or '.join(near)}?"
        parts = [part.strip() for part in external_id.split(",")]
        if len(parts) > 1 and all(part in self for part in parts):
            apart = shortened(shlex.join(parts))
            return f"these are {len(parts)} ids: in a shell {apart}, else a list of them"
        return ""


def _other_spellings(text: str) -> Iterator[str]:
    """What an id may be in a table that another program wrote, nearest first.

    Looked up one by one: many ask a service for users it does not know, and none of them may make
    it read all ids.
    """
    plain = bare(text)
    cases = plain, plain.lower(), plain.upper(), plain.capitalize(), plain.title()
    for cased in dict.fromkeys(cases):
        for zeros in range(_MOST_ZEROS + 1 if cased[:1].isdigit() else 1):
            yield from ("0" * zeros + cased, "0" * zeros + cased + ".0")
