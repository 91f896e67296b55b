"""Selection on validation: whose lists are measured, and by what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.protocol import DEPTH, Report, evaluate, evaluated_users
from cllm4rec.evaluation.scorer import Scorer
from cllm4rec.ranking import RankedItems, rank_all
from cllm4rec.seeds import generator

MAX_USERS = 4000
"""Most validation users; of larger data a sample decides."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What chooses settings, epochs and blend weights; a candidate's value is a sum of means.

    Everything in a results table is chosen by the same measures, those that the table reports.

    Attributes:
        users: validation users, ``int32 [U]``, ascending.
        known: their known items, U rows.
        relevant: their validation items, U rows.
        measures: names in `METRICS`, with equal weights.
    """

    users: NDArray[np.int32]
    known: Interactions
    relevant: Interactions
    measures: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, measures: Sequence[str], seed: int) -> "Selection":
        """Every validation user, or a sample of `MAX_USERS`.

        Args:
            dataset: its validation part selects.
            measures: of ``evaluate.selection``.
            seed: of the sample.
        """
        users = evaluated_users(dataset, "valid")
        if len(users) > MAX_USERS:
            users = np.sort(generator(seed, "users").choice(users, MAX_USERS, replace=False))
        known, relevant = dataset.known("valid"), dataset.part("valid")
        return cls(users, known.rows(users), relevant.rows(users), tuple(measures))

    def report(self, scorer: Scorer) -> Report:
        """Rank the catalogue for every user and measure the lists."""
        rows = np.arange(len(self.users), dtype=np.int32)
        with progress.quiet():
            ranked = rank_all(_OfRows(scorer, self.users), rows, self.known, DEPTH)
        return self.measured(ranked.items, ranked.scores)

    def measured(self, items: NDArray[np.int32], scores: NDArray[np.float32]) -> Report:
        """Measure lists ``[U, length]`` of the users, in their order."""
        rows = np.arange(len(self.users), dtype=np.int32)
        return evaluate(
            RankedItems(rows, items, scores), self.relevant, num_items=self.known.num_items
        )

    def value(self, report: Report) -> float:
        """The sum of the measures' means."""
        return sum(report.mean[name] for name in self.measures)

    def per_user(self, report: Report) -> NDArray[np.float64]:
        """The sum of the measures of every user with a relevant item, ``float64 [U]``."""
        total: NDArray[np.float64] = np.sum(
            [report.per_user[name] for name in self.measures], axis=0
        )
        return total


@dataclass(frozen=True, slots=True)
class _OfRows:
    """A scorer that is asked by rows of a selection instead of users' numbers."""

    scorer: Scorer
    users: NDArray[np.int32]

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        return self.scorer.score(self.users[users], history)
