"""Rows of every log by the number of its users, as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.sizes.table import OURS
from benchmarks.style import STYLE
from cllm4rec.run import atomic_write

DRAWN = {
    "no texts": "#666666",
    "TF-IDF": "#8fb3d9",
    "TF-IDF + MiniLM": "#c98a2b",
    "TF-IDF + random layers": "#9b6fb0",
    OURS: "#1f5fa8",
}
"""Row → colour."""
COLUMNS = 3


def draw(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the picture as SVG: a panel for each log, Recall@20 relative to no texts.

    Args:
        results: of `table`, by the name of the log.
        path: to write.
    """
    lines = -(-len(results) // COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.4 + 2.6 * lines), layout="constrained")
        panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
        for axes in panels[len(results) :]:
            axes.remove()
        for axes, (name, result) in zip(panels, results.items(), strict=False):
            sizes = {int(size): rows for size, rows in result["sizes"].items()}
            for row, colour in DRAWN.items():
                found = [
                    (size, 100 * (_mean(rows, row) / _mean(rows, "no texts") - 1))
                    for size, rows in sizes.items()
                    if row in rows
                ]
                if found:
                    axes.plot(
                        *zip(*found, strict=True), "o-", color=colour, markersize=3, label=row
                    )
            axes.set_xscale("log")
            axes.set_xticks(list(sizes), [str(size) for size in sizes], fontsize=7)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_title(name, loc="left")
        panels[0].set_ylabel("Recall@20 over no texts, %")
        figure.supxlabel("users in the log", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def _mean(rows: Mapping[str, Any], name: str) -> float:
    return float(rows[name]["recall@20"]["mean"])
