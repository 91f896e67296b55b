"""Lines of ``metrics.jsonl`` → the curves that are drawn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_POINTS = 400
"""Most points of one drawn line; longer ones are averaged in groups."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: x and y, float64, of one length; x is in steps or in epochs."""

    name: str
    x: np.ndarray
    y: np.ndarray


def loss_curves(rows: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """The training loss of every stage and part over its optimiser steps.

    A resumed run repeats the steps since its last checkpoint: the later line counts.
    """
    series: dict[str, dict[tuple[Any, ...], float]] = {}
    for row in rows:
        if "loss" in row and "stage" in row:
            parts = dict.fromkeys(str(row[key]) for key in ("stage", "part") if key in row)
            points = series.setdefault(" · ".join(parts), {})
            points[row.get("pass"), row.get("epoch"), row.get("step")] = float(row["loss"])
    return [_grouped(name, np.array(list(points.values()))) for name, points in series.items()]


def validation_curves(rows: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """Every metric of the validation part over finetuning's epochs; a row of no epoch is none."""
    series: dict[str, dict[float, float]] = {}
    for row in rows:
        if row.get("epoch") is None:
            continue
        for metric, value in (row.get("valid") or {}).items():
            series.setdefault(metric, {})[float(row["epoch"])] = float(value)
    return [
        Curve(metric, np.array(sorted(points)), np.array([points[x] for x in sorted(points)]))
        for metric, points in series.items()
    ]


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean of each value and up to ``reach`` neighbours on both sides; as long as ``values``."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    starts = np.maximum(0, places - reach)
    ends = np.minimum(len(values), places + reach + 1)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _grouped(name: str, values: np.ndarray) -> Curve:
    steps = np.arange(1, len(values) + 1, dtype=np.float64)
    groups = np.array_split(np.arange(len(values)), min(len(values), MAX_POINTS))
    return Curve(
        name,
        np.array([steps[group].mean() for group in groups]),
        np.array([values[group].mean() for group in groups]),
    )
