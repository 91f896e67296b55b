"""The users to recommend for: those of a run, or of a file of histories."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.histories import read_histories
from cllm4rec.data.interactions import Interactions
from cllm4rec.recommender.requests import ListRequest


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """Users in a fixed order, with their histories and numbers in the run.

    Attributes:
        ids: external user ids, one per row of ``histories``.
        histories: known items, oldest first; memory-mapped.
        numbers: ``int32``, each row's user number in the run; −1 for unknown users.
        left_out: unused rows of a histories file, by reason.
        excluded: further items that each row's user has had, memory-mapped; None without any.
    """

    ids: pa.LargeStringArray
    histories: Interactions
    numbers: NDArray[np.int32]
    left_out: dict[str, int]
    excluded: Interactions | None = None

    @classmethod
    def of_run(cls, dataset: Dataset) -> "Audience":
        """Every user of the run, with all interactions, as in ``known("recommend")``."""
        numbers = np.arange(len(dataset.users), dtype=np.int32)
        external, excluded = dataset.users.external, dataset.excluded
        return cls(external, dataset.interactions, numbers, {}, excluded)

    @classmethod
    def of_file(cls, path: Path, dataset: Dataset, folder: Path, config: DataConfig) -> "Audience":
        """Users of a file ``user_id, item_id, position|timestamp``, all unknown to the run.

        Args:
            path: of the file.
            dataset: gives the catalogue.
            folder: for the sorted histories; must outlive the audience.
            config: how the run's own files were read.

        Raises:
            InputError: the file is unusable, or contains no item of the catalogue.
        """
        users, histories, left_out = read_histories(path, dataset.items, folder, config)
        return cls(users.external, histories, np.full(len(users), -1, np.int32), left_out)

    def __len__(self) -> int:
        return self.histories.num_users

    def request(
        self, k: int, *, allowed: NDArray[np.bool_] | None = None, seen: bool = False
    ) -> ListRequest:
        """A request for everyone's lists; see `ListRequest.of`."""
        return ListRequest.of(
            self.numbers, self.histories, k, excluded=self.excluded, allowed=allowed, seen=seen
        )

    def rows(self, rows: NDArray[np.int64]) -> "Audience":
        """A selection of rows, in the order given."""
        ids = self.ids.take(pa.array(rows))
        excluded = None if self.excluded is None else self.excluded.rows(rows)
        histories = self.histories.rows(rows)
        return Audience(ids, histories, self.numbers[rows], self.left_out, excluded)
