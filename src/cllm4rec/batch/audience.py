"""Who is asked for: the users of a run, or anyone whose history is given."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.histories import read_histories
from cllm4rec.data.interactions import Interactions


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """Users in a fixed order, what is known of them, and where they stand in the run.

    Attributes:
        ids: external user ids, one per row of ``histories``.
        histories: known items, oldest first; memory-mapped.
        in_run: whether a row's number is the user's number in the run; otherwise nobody is.
        left_out: rows of a histories file that were not used, by reason.
    """

    ids: pa.LargeStringArray
    histories: Interactions
    in_run: bool
    left_out: dict[str, int]

    @classmethod
    def of_run(cls, dataset: Dataset) -> "Audience":
        """Every user of the run; every part of the data is known, as in ``known("recommend")``."""
        return cls(dataset.users.external, dataset.interactions, True, {})

    @classmethod
    def of_file(cls, path: Path, dataset: Dataset, folder: Path, memory_limit: str) -> "Audience":
        """Users who are not in the run, by a Parquet file ``user_id, item_id, position|timestamp``.

        Args:
            path: the file.
            dataset: its catalogue says which items are known.
            folder: takes the sorted histories; must stay as long as the audience is used.
            memory_limit: DuckDB's, such as ``"1GB"``.

        Raises:
            InputError: the file cannot be used, or names no item of the catalogue.
        """
        users, histories, left_out = read_histories(path, dataset.items, folder, memory_limit)
        return cls(users.external, histories, False, left_out)

    def __len__(self) -> int:
        return self.histories.num_users

    def users(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """User numbers in the run of some rows, −1 for users it does not know."""
        return rows.astype(np.int32) if self.in_run else np.full(len(rows), -1, np.int32)
