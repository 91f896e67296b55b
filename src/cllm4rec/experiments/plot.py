"""The plot: a dot and its interval for every model, a panel for every data set and metric."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cllm4rec.config.naming import row_label
from cllm4rec.run import atomic_write

DRAWN = ("recall@20", "ndcg@100")
"""Metrics that are drawn, one column of panels each."""

_COLOURS = {"model": "#1f5fa8", "half": "#8fb3d9", "baseline": "#666666"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cllm4rec",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}


def draw(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write ``plot.png`` and ``plot.svg``; nothing where there is no row.

    Args:
        rows: of the table, with ``dataset``, ``model``, ``kind`` and ``metrics``.
        out: folder to write to.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    if not datasets:
        return
    panels = [[row for row in rows if row["dataset"] == name] for name in datasets]
    heights = [0.8 + 0.24 * len(panel) for panel in panels]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, sum(heights)), layout="constrained")
        grid = figure.subplots(
            len(panels), len(DRAWN), squeeze=False, sharey="row", height_ratios=heights
        )
        for name, panel, line in zip(datasets, panels, grid, strict=True):
            for metric, axes in zip(DRAWN, line, strict=True):
                _panel(axes, panel, metric)
            line[0].set_title(name, loc="left", fontweight="bold")
        for ending in ("png", "svg"):
            with atomic_write(out / f"plot.{ending}") as temporary:
                nothing = {"Date": None} if ending == "svg" else {}
                figure.savefig(temporary, format=ending, dpi=150, metadata=nothing)


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    for place, row in enumerate(rows):
        value, colour = row["metrics"][metric], _COLOURS[row["kind"]]
        axes.plot([value["low"], value["high"]], [place, place], color=colour, linewidth=1.5)
        axes.plot([value["mean"]], [place], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(rows)), [row_label(row).replace("$", r"\$") for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{metric}, 95 % interval")
