"""From finished cells to the numbers of the table: means, intervals, differences, slices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.config.naming import LINEAR, chosen_notes, made_by
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.intervals import bootstrap_interval, holm_adjusted, paired_bootstrap_p
from cllm4rec.evaluation.protocol import DEPTH, evaluate, evaluate_ranking
from cllm4rec.experiments.cells import Cell
from cllm4rec.experiments.data import PreparedData
from cllm4rec.experiments.plan import Column
from cllm4rec.experiments.slices import SLICED, Slice, slices_of
from cllm4rec.ranking import RankedItems

METRICS: tuple[Column, ...] = get_args(Column)
"""Columns of the table, in this order."""

PerUser = NDArray[np.float64]
Kind = Literal["model", "half", "baseline"]


@dataclass(slots=True, eq=False)
class Measured:
    """One row of the table before its users are averaged.

    Attributes:
        name: of the model or baseline; with ``· …`` for half of a blend.
        kind: ``half`` for one of the two scores that a model blends.
        refit: fitted again on training and validation part.
        made_by: preset, backbone and layers of a model; empty for a baseline.
        selection: measures that chose everything on validation.
        cells: what the row was measured from, one per seed.
        by_seed: metric → per-user values ``float64 [U]`` for every seed.
        by_slice: (users or items, slice, metric) → the same, of the slice's users.
    """

    name: str
    kind: Kind
    refit: bool = False
    made_by: str = ""
    selection: Sequence[str] = ()
    cells: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    by_seed: dict[str, list[PerUser]] = field(default_factory=dict)
    by_slice: dict[tuple[str, str, str], list[PerUser]] = field(default_factory=dict)

    def note(self) -> str:
        """What was chosen that the row's name does not say, and in how many seeds."""
        if self.kind == "baseline" or self.name.endswith(LINEAR):
            return ""
        # Counted one by one: two seeds may share one note and differ in another.
        counts = Counter(
            note for _seed, record in self.cells for note in self._chosen(record["chosen"])
        )
        seeds = len(self.cells)
        return ", ".join(
            text if count == seeds else f"{text} in {count} of {seeds} seeds"
            for text, count in counts.items()
        )

    def _chosen(self, chosen: Mapping[str, Any]) -> list[str]:
        if self.kind == "half":
            return chosen_notes(chosen["best_epoch"], 0.0, linear=False)
        return chosen_notes(chosen["best_epoch"], chosen["blend"], linear=chosen["linear"])

    def values(self, metric: str) -> PerUser:
        """Per-user values, averaged over the seeds."""
        average: PerUser = np.mean(self.by_seed[metric], axis=0)
        return average


def rows_of(
    data: PreparedData, measured: Sequence[Measured], bootstrap: int
) -> list[dict[str, Any]]:
    """The table's rows of one data set, JSON values.

    Args:
        data: the data set.
        measured: of `measure`, in the table's order.
        bootstrap: resamples of users behind each interval and each p.

    Returns:
        One per model, half of a blend, and baseline: ``seconds`` (mean over seeds), ``peak_mb``
        (the largest), ``metrics`` (mean, interval, seed standard deviation; relative difference
        and p against the best baseline by that metric that was fitted on the same parts, which is
        named) and ``slices``.
    """
    best = {
        (refit, metric): _best_baseline([row for row in measured if row.refit == refit], metric)
        for refit in (False, True)
        for metric in METRICS
    }
    rows = []
    with progress.task(f"Resampling users of {data.name}", len(measured), "row") as task:
        for row in measured:
            rows.append({
                "dataset": data.name,
                "splitting": data.splitting,
                "model": row.name,
                "kind": row.kind,
                "note": row.note(),
                "made_by": row.made_by,
                "selection": list(row.selection),
                "seeds": [seed for seed, _record in row.cells],
                "users": len(row.values(METRICS[0])),
                **_cost(row),
                "metrics": {m: _compared(row, best[row.refit, m], m, bootstrap) for m in METRICS},
                "slices": _slices(row, bootstrap),
            })
            task.advance()
    return rows


def adjust_for_data_sets(rows: Sequence[dict[str, Any]]) -> None:
    """Correct ``p_holm`` by Holm's procedure over the data sets of each model, by metric.

    Args:
        rows: of `rows_of`, of all data sets.
    """
    for model in dict.fromkeys(row["model"] for row in rows):
        for metric in METRICS:
            tested = [
                row["metrics"][metric]
                for row in rows
                if row["model"] == model and row["metrics"][metric]["p"] is not None
            ]
            adjusted = holm_adjusted([found["p"] for found in tested])
            for found, p in zip(tested, adjusted, strict=True):
                found["p_holm"] = p


def measure(data: PreparedData, done: Sequence[tuple[Cell, Mapping[str, Any]]]) -> list[Measured]:
    """Per-user values of every list of the finished cells, rows in the cells' order.

    Args:
        data: the data set.
        done: finished cells with what they left.

    Raises:
        InputError: a list holds what is known before the test part.
    """
    rows: dict[str, Measured] = {}
    dataset, slices = data.dataset, slices_of(data.dataset)
    lists = [(cell, record, half) for cell, record in done for half in record["lists"]]
    with progress.task(f"Measuring {data.name}", len(lists), "list") as task:
        for cell, record, half in lists:
            name = f"{cell.row} · {half}" if half else cell.row
            kind: Kind = "half" if half else "baseline" if cell.config is None else "model"
            made = "" if cell.config is None else made_by(cell.config)
            row = rows.setdefault(
                name, Measured(name, kind, cell.chosen is not None, made, cell.selection)
            )
            path = cell.folder / record["lists"][half]
            ranked = RankedItems.read(path, dataset.users, dataset.items, DEPTH)
            row.cells.append((cell.seed, record))
            report = evaluate_ranking(ranked, dataset, "test")
            for metric in METRICS:
                row.by_seed.setdefault(metric, []).append(report.per_user[metric])
            for part in slices:
                for sliced, values in _sliced(ranked, part, len(dataset.items)).items():
                    row.by_slice.setdefault((part.by, part.name, sliced), []).append(values)
            task.advance()
    return list(rows.values())


def _sliced(ranked: RankedItems, part: Slice, num_items: int) -> dict[str, PerUser]:
    relevant: Interactions = part.relevant
    report = evaluate(ranked, relevant, num_items=num_items)
    return {metric: report.per_user[metric] for metric in SLICED}


def _best_baseline(rows: Sequence[Measured], metric: str) -> Measured | None:
    """The baseline with the highest mean on the test part; of equals the first."""
    baselines = [row for row in rows if row.kind == "baseline"]
    return max(baselines, key=lambda row: float(row.values(metric).mean()), default=None)


def _compared(row: Measured, best: Measured | None, metric: str, bootstrap: int) -> dict[str, Any]:
    """Mean and interval; where another row is the best baseline, how this one differs from it."""
    values = row.values(metric)
    low, high = bootstrap_interval(values, bootstrap)
    seed_means = [float(of_seed.mean()) for of_seed in row.by_seed[metric]]
    found: dict[str, Any] = {
        "mean": float(values.mean()),
        "low": low,
        "high": high,
        "seed_sd": stdev(seed_means) if len(seed_means) > 1 else None,
        "best_baseline": best and best.name,
        "difference": None,
        "p": None,
        "p_holm": None,
    }
    if best is not None and best is not row:
        theirs = best.values(metric)
        found["p"] = found["p_holm"] = paired_bootstrap_p(values, theirs, bootstrap)
        if theirs.mean() > 0:
            found["difference"] = float(values.mean() / theirs.mean() - 1)
    return found


def _cost(row: Measured) -> dict[str, Any]:
    """Seconds and memory: none for a half; a resumed cell's seconds are a lower bound."""
    if row.kind == "half":
        return {"seconds": None, "seconds_at_least": False, "peak_mb": None, "chosen": []}
    records = [record for _seed, record in row.cells]
    return {
        "seconds": mean(record["seconds"] for record in records),
        "seconds_at_least": any(record["resumed"] for record in records),
        "peak_mb": max(record["peak_mb"] for record in records),
        "chosen": [record["chosen"] for record in records],
    }


def _slices(row: Measured, bootstrap: int) -> list[dict[str, Any]]:
    found = []
    for (by, name, metric), by_seed in row.by_slice.items():
        values = np.mean(by_seed, axis=0)
        low, high = bootstrap_interval(values, bootstrap)
        found.append({
            "by": by,
            "slice": name,
            "users": len(values),
            "metric": metric,
            "mean": float(values.mean()),
            "low": low,
            "high": high,
        })
    return found
