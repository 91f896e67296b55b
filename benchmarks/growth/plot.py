"""The growth of every stage as a picture: processor seconds and memory, both axes logarithmic."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.growth.measure import STAGES
from benchmarks.style import STYLE
from cllm4rec.run import atomic_write

_LABELS = {"cpu_s": "processor seconds", "peak_mb": "peak memory, MB"}


def series(rows: Sequence[Mapping[str, Any]], axis: str) -> list[Mapping[str, Any]]:
    """The rows along ``users`` or ``items``: those of the other size that most rows have."""
    other = "items" if axis == "users" else "users"
    sizes = sorted({row[other] for row in rows})
    counts = [len({row[axis] for row in rows if row[other] == size}) for size in sizes]
    common = sizes[int(np.argmax(counts))]
    return sorted((row for row in rows if row[other] == common), key=lambda row: row[axis])


def slope(rows: Sequence[Mapping[str, Any]], axis: str, stage: str, measure: str) -> float:
    """Exponent of growth between the two largest sizes: 1 is linear."""
    points = [(row[axis], row[measure]) for row in rows if row["stage"] == stage]
    (first, low), (last, high) = points[-2:]
    return float(np.log(high / low) / np.log(last / first))


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture as SVG: by users on the left, by items on the right."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 6), layout="constrained")
        grid = figure.subplots(2, 2, sharey="row")
        for column, axis in enumerate(("users", "items")):
            along = series(rows, axis)
            for line, (measure, label) in enumerate(_LABELS.items()):
                axes = grid[line][column]
                for stage in STAGES:
                    points = [(r[axis], r[measure]) for r in along if r["stage"] == stage]
                    axes.loglog(*zip(*points, strict=True), "o-", markersize=4, label=stage)
                axes.set_xlabel(axis)
                if column == 0:
                    axes.set_ylabel(label)
        grid[0][0].legend(fontsize=8)
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
