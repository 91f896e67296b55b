"""The roofline: what each stage reaches under what memory and arithmetic would allow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.style import STYLE
from cllm4rec.errors import InputError
from cllm4rec.run import atomic_write

FORMATS = ("png", "svg", "pdf")

_MARKS = "osD^vP*X"


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write the picture: operations per byte across, achieved GFLOP/s up, both logarithmic.

    Args:
        result: of ``measure_speed``.
        path: file to write; its ending says the format.

    Raises:
        InputError: another ending than one of `FORMATS`.
    """
    kind = check_ending(path)
    peak, bandwidth = result["peak"]["gflops_per_s"], result["peak"]["memory_gb_per_s"]
    rows = result["rows"]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    depths = sorted({row["depth"] for row in rows})
    across = [row["flops_per_byte"] for row in rows]
    corner = peak / bandwidth
    line = np.array([min([*across, corner]) / 3, corner, max([*across, corner]) * 3])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        axes = figure.subplots()
        axes.loglog(line, np.minimum(peak, bandwidth * line), color="#444444", linewidth=1.5)
        axes.annotate(
            f"{peak:,.0f} GFLOP/s, {bandwidth:.1f} GB/s",
            (line[-1], peak),
            xytext=(0, 4),
            textcoords="offset points",
            ha="right",
        )
        colours = mpl.colormaps["viridis"](np.linspace(0.1, 0.8, len(depths)))
        for row in rows:
            axes.plot(
                row["flops_per_byte"],
                row["gflops_per_s"],
                _MARKS[stages.index(row["stage"]) % len(_MARKS)],
                color=colours[depths.index(row["depth"])],
                markersize=6,
            )
        for place, stage in enumerate(stages):
            axes.plot([], [], _MARKS[place % len(_MARKS)], color="#666666", label=stage)
        for colour, depth in zip(colours, depths, strict=True):
            axes.plot([], [], "s", color=colour, label=f"depth {depth}")
        axes.set_xlabel("operations per byte, by formula")
        axes.set_ylabel("GFLOP/s, real tokens")
        figure.legend(fontsize=7, loc="outside right upper")
        with atomic_write(path) as temporary:
            nothing = {"Date": None} if kind == "svg" else {}
            figure.savefig(temporary, format=kind, dpi=150, metadata=nothing)


def check_ending(path: Path) -> str:
    """The format that a file's ending stands for.

    Raises:
        InputError: it stands for none.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise InputError(f"cannot draw {path.name}; end its name in .{', .'.join(FORMATS)}")
    return kind
