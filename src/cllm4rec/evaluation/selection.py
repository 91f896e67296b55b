"""Selection on validation: whose lists are measured, and by what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.protocol import DEPTH, Report, evaluate, evaluated_users
from cllm4rec.ranking import RankedItems, Scorer, blocks
from cllm4rec.seeds import generator

MAX_USERS = 25_000
"""Most validation users; of larger data a sample decides. Of 4,000 another sample chose settings
that were 3 % worse on test (docs/decisions/0034)."""


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
    def of(
        cls, dataset: Dataset, measures: Sequence[str], seed: int, most: int | None = None
    ) -> "Selection":
        """Every validation user, or a sample.

        Args:
            dataset: its validation part selects.
            measures: of ``evaluate.selection``.
            seed: of the sample.
            most: users of the sample; None: `MAX_USERS`.
        """
        users, most = evaluated_users(dataset, "valid"), most or MAX_USERS
        if len(users) > most:
            users = np.sort(generator(seed, "users").choice(users, most, replace=False))
        known, relevant = dataset.known("valid"), dataset.part("valid")
        return cls(users, known.rows(users), relevant.rows(users), tuple(measures))

    def report(self, scorer: Scorer) -> Report:
        """Rank the catalogue for every user and measure the lists."""
        ranked = RankedItems.empty(self.users, DEPTH)
        with progress.quiet():
            for rows, history in blocks(self.known, "Ranking"):
                ranked.fill(rows, scorer.score(self.users[rows], history), history)
        return self.measured(ranked)

    def measured(self, ranked: RankedItems) -> Report:
        """Measure lists of the users, in their order."""
        rows = np.arange(len(self.users), dtype=np.int32)
        by_row = RankedItems(rows, ranked.items, ranked.scores)
        return evaluate(by_row, self.relevant, num_items=self.known.num_items)

    def value(self, report: Report) -> float:
        """The sum of the measures' means."""
        return sum(report.mean[name] for name in self.measures)

    def per_user(self, report: Report) -> NDArray[np.float64]:
        """The sum of the measures of every user with a relevant item, ``float64 [U]``."""
        total: NDArray[np.float64] = np.sum(
            [report.per_user[name] for name in self.measures], axis=0
        )
        return total
