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
        numbers: ``int32``, each row's user in the run; −1 for a user it does not know.
        left_out: rows of a histories file that were not used, by reason.
    """

    ids: pa.LargeStringArray
    histories: Interactions
    numbers: NDArray[np.int32]
    left_out: dict[str, int]

    @classmethod
    def of_run(cls, dataset: Dataset) -> "Audience":
        """Every user of the run; every part of the data is known, as in ``known("recommend")``."""
        numbers = np.arange(len(dataset.users), dtype=np.int32)
        return cls(dataset.users.external, dataset.interactions, numbers, {})

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
        return cls(users.external, histories, np.full(len(users), -1, np.int32), left_out)

    def __len__(self) -> int:
        return self.histories.num_users

    def rows(self, rows: NDArray[np.int64]) -> "Audience":
        """Some of them, in the order of ``rows``."""
        ids = self.ids.take(pa.array(rows))
        return Audience(ids, self.histories.rows(rows), self.numbers[rows], self.left_out)
