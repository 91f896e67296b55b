"""Figures as inline SVG in the page's own colours and letters, so that they follow its theme."""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cllm4rec.report.curves import Curve, running_mean

# Stand-ins for the style sheet's colours: matplotlib knows no CSS, they are exchanged at the end.
INK, MUTED, GRID, ACCENT, PALE, PAPER = (f"#0101{n:02d}" for n in range(1, 7))
_CSS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    ACCENT: "var(--accent)",
    PALE: "var(--pale)",
    PAPER: "var(--paper)",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cllm4rec",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
}


def loss_figure(curve: Curve) -> str:
    """One loss over the steps: every value pale, the running mean on top. Returns HTML."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(2.4)
        axes.plot(curve.x, curve.y, color=PALE, linewidth=1)
        smooth = running_mean(curve.y, len(curve.y) // 30)
        alone = "o" if len(curve.x) == 1 else ""
        axes.plot(curve.x, smooth, color=ACCENT, linewidth=2, marker=alone)
        axes.set_xlabel("optimiser step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        return _captioned(figure, f"Loss: {curve.name}")


def validation_figure(curve: Curve, best_epoch: float | None) -> str:
    """One validation metric over the epochs, the kept epoch marked. Returns HTML."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(2.4)
        axes.plot(curve.x, curve.y, color=ACCENT, linewidth=2, marker="o", markersize=4)
        kept = np.flatnonzero(curve.x == best_epoch)
        if len(kept):
            x, y = curve.x[kept[0]], curve.y[kept[0]]
            axes.plot([x], [y], "o", color=ACCENT, markersize=9, markeredgecolor=PAPER)
            # Inside the axes: at either end there is room on one side only.
            side = {0: "left", len(curve.x) - 1: "right"}.get(int(kept[0]), "center")
            axes.annotate(
                f"kept: epoch {x:.0f}", (x, y), (0, -16), textcoords="offset points", ha=side
            )
        axes.set_xlabel("epoch")
        axes.margins(y=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        return _captioned(figure, f"Validation {curve.name}")


def interval_figure(metric: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A dot and its 95 % interval for every model.

    Args:
        metric: name of the metric, e.g. ``"recall@20"``.
        rows: (model, mean and optionally low and high), in the table's order.

    Returns:
        HTML: a figure with its caption.
    """
    with mpl.rc_context({**_STYLE, "axes.grid.axis": "x"}):
        figure, axes = _figure(0.9 + 0.32 * len(rows))
        for place, (_model, value) in enumerate(rows):
            colour = ACCENT if place == 0 else MUTED
            if value.get("low") is not None:
                axes.plot([value["low"], value["high"]], [place, place], color=colour, linewidth=2)
            axes.plot([value["mean"]], [place], "o", color=colour, markersize=7)
        axes.set_yticks(range(len(rows)), [model for model, _value in rows], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.spines["left"].set_visible(False)
        return _captioned(figure, f"{metric} with its 95 % interval")


def _figure(height_inches: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, height_inches), layout="constrained")
    return figure, figure.subplots()


def _captioned(figure: Figure, caption: str) -> str:
    drawing = _svg(figure, re.sub(r"[^a-z0-9]+", "-", caption.lower()))
    shown = escape(caption)
    drawing = drawing.replace("<svg", f'<svg role="img" aria-label="{shown}"', 1)
    return f"<figure><figcaption>{shown}</figcaption>{drawing}</figure>"


def _svg(figure: Figure, prefix: str) -> str:
    text = io.StringIO()
    nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    for stand_in, colour in _CSS.items():
        svg = svg.replace(stand_in, colour)
    # Each drawing numbers its parts from one; in one page the names must differ.
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
