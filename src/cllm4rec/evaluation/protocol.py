"""The evaluation protocol: rank the whole catalogue without known items, average over users."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, shortened
from cllm4rec.evaluation.intervals import bootstrap_interval
from cllm4rec.evaluation.metrics import COVERAGE_DEPTH, METRICS, coverage_at, hits
from cllm4rec.ranking import NO_ITEM, RankedItems, Scorer, rank_all

DEPTH = 100
"""Length of the lists that are evaluated."""
HeldOut = Literal["valid", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Metrics of ranked lists.

    Attributes:
        users: numbers of the users with a relevant item, ``int32 [U]``; only these are averaged.
        per_user: metric → ``float64 [U]``.
        mean: metric → mean over users.
        interval: metric → 95 % bootstrap interval of the mean; empty without a bootstrap.
        coverage: fraction of the catalogue among the first 20 of any list.
        missing: users without a list; they count as zeros.
    """

    users: NDArray[np.int32]
    per_user: dict[str, NDArray[np.float64]]
    mean: dict[str, float]
    interval: dict[str, tuple[float, float]]
    coverage: float
    missing: int

    def to_json(self) -> dict[str, Any]:
        """``users``, ``missing`` and ``metrics``: name → mean, low, high (null: no interval)."""
        metrics: dict[str, Any] = {}
        for name, mean in self.mean.items():
            low, high = self.interval.get(name, (None, None))
            metrics[name] = {"mean": mean, "low": low, "high": high}
        coverage = {"mean": self.coverage, "low": None, "high": None}
        metrics[f"coverage@{COVERAGE_DEPTH}"] = coverage
        return {"users": len(self.users), "missing": self.missing, "metrics": metrics}


def evaluate(
    ranked: RankedItems,
    relevant: Interactions,
    *,
    num_items: int,
    bootstrap: int = 0,
    seed: int = 0,
) -> Report:
    """Score ranked lists.

    Args:
        ranked: lists of any users in any order; those of users without a relevant item are ignored.
        relevant: relevant items of every user, one row per user number.
        num_items: size of the catalogue, for coverage.
        bootstrap: samples for the intervals; 0 for no intervals.
        seed: of the bootstrap.

    Raises:
        InputError: no user has a relevant item.
    """
    users = _with_items(relevant)
    if len(users) == 0:
        raise InputError("no user has a held-out item, so there is nothing to evaluate")
    row_of = np.full(relevant.num_users, -1)
    row_of[ranked.users] = np.arange(len(ranked))
    rows = row_of[users]
    lists = np.full((len(users), ranked.items.shape[1]), NO_ITEM, dtype=np.int32)
    lists[rows >= 0] = ranked.items[rows[rows >= 0]]
    wanted = relevant.rows(users)
    hit = hits(lists, wanted)
    per_user = {name: metric(hit, wanted.counts()) for name, metric in METRICS.items()}
    interval = {
        name: bootstrap_interval(values, bootstrap, seed)
        for name, values in per_user.items()
        if bootstrap
    }
    return Report(
        users,
        per_user,
        {name: float(values.mean()) for name, values in per_user.items()},
        interval,
        coverage_at(lists, num_items, COVERAGE_DEPTH),
        int((rows < 0).sum()),
    )


def evaluate_ranking(
    ranked: RankedItems, dataset: Dataset, part: HeldOut, *, bootstrap: int = 0, seed: int = 0
) -> Report:
    """Score any ranked lists on a part of the data.

    Raises:
        InputError: a list contains an item known before that part, or the part is empty.
    """
    known = dataset.known(part)
    seen = hits(ranked.items, known.rows(ranked.users))
    if seen.any():
        row, column = np.argwhere(seen)[0]
        user_id = shortened(repr(dataset.users.id(int(ranked.users[row]))))
        item_id = shortened(repr(dataset.items.id(int(ranked.items[row, column]))))
        raise InputError(
            f"user {user_id} is recommended item {item_id}, which is known before the {part} part; "
            f"leave such items out of the lists"
        )
    relevant = dataset.part(part)
    return evaluate(ranked, relevant, num_items=len(dataset.items), bootstrap=bootstrap, seed=seed)


def evaluate_scorer(
    scorer: Scorer,
    dataset: Dataset,
    part: HeldOut,
    *,
    k: int = DEPTH,
    bootstrap: int = 0,
    seed: int = 0,
) -> Report:
    """Rank the catalogue for every user of a part, from earlier parts, and score the lists.

    Raises:
        InputError: no user has an item in that part.
    """
    users, known = evaluated_users(dataset, part), dataset.known(part)
    ranked = rank_all(scorer, users, known, k)
    relevant = dataset.part(part)
    return evaluate(ranked, relevant, num_items=len(dataset.items), bootstrap=bootstrap, seed=seed)


def evaluated_users(dataset: Dataset, part: HeldOut) -> NDArray[np.int32]:
    """Numbers of the users with an item in the part, ascending."""
    return _with_items(dataset.part(part))


def _with_items(interactions: Interactions) -> NDArray[np.int32]:
    return np.flatnonzero(interactions.counts()).astype(np.int32)
