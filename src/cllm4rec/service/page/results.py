"""A run's results and curves as the page shows them: values for the template, figures as SVG."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from cllm4rec.config.naming import row_label, selection_line
from cllm4rec.report.curves import loss_curves, validation_curves
from cllm4rec.report.figures import interval_figure, loss_figure, validation_figure
from cllm4rec.report.page import DRAWN, METRICS
from cllm4rec.run import RunDir, read_json
from cllm4rec.stages.measurable import is_measurable

FILES = ("results.json", "metrics.jsonl", "manifest.json")
"""Files of a run that the page of results is made from."""


class Results:
    """Table and figures of a run, made anew when one of its files has changed.

    Args:
        run: the run; a saved folder, which has no results, will do.
    """

    def __init__(self, run: RunDir) -> None:
        self.run = run
        # Not two figures at a time: matplotlib's settings are the whole process's.
        self._lock = threading.Lock()
        self._made_from: tuple[Any, ...] = ()
        self._values: dict[str, Any] = {}

    def values(self) -> dict[str, Any]:
        """Values for the template.

        ``table`` and ``curves``, each perhaps empty, and whether the run is ``measurable``.

        Raises:
            IntegrityError: a file of the run is damaged.
        """
        with self._lock:
            state = tuple(self._state(name) for name in FILES)
            if state != self._made_from:
                self._values = {
                    "table": _table(self.run),
                    "curves": _curves(self.run),
                    "measurable": is_measurable(self.run),
                }
                self._made_from = state
            return self._values

    def _state(self, name: str) -> tuple[int, int] | None:
        path = self.run.file(name)
        if not path.is_file():
            return None
        found = path.stat()
        return found.st_mtime_ns, found.st_size


def _table(run: RunDir) -> dict[str, Any] | None:
    results = run.results() or {}
    rows: Sequence[Mapping[str, Any]] = results.get("rows", [])
    if not rows:
        return None
    metrics = [name for name in METRICS if any(_metric(row, name) for row in rows)]
    best = {name: max(_metric(row, name).get("mean", 0.0) for row in rows) for name in metrics}
    drawn = [name for name in DRAWN if all(_metric(row, name) for row in rows)]
    return {
        "part": results.get("part", "test"),
        "users": rows[0].get("users"),
        "selection": selection_line(results.get("selection", ())),
        "made_by": results.get("made_by", ""),
        "metrics": metrics,
        "rows": [
            {
                "model": row_label(row),
                "settings": ", ".join(f"{k} {v}" for k, v in (row.get("settings") or {}).items()),
                "cells": [_cell(_metric(row, name), best[name]) for name in metrics],
            }
            for row in rows
        ],
        "figures": [
            inline(interval_figure(name, [(row_label(row), _metric(row, name)) for row in rows]))
            for name in drawn
        ],
    }


def _curves(run: RunDir) -> list[Markup]:
    rows = run.metrics()
    path = run.file("manifest.json")
    manifest = read_json(path) if path.is_file() else {}
    best = manifest.get("stages", {}).get("finetune", {}).get("best_epoch")
    losses = [loss_figure(curve) for curve in loss_curves(rows)]
    valid = [
        validation_figure(curve, best) for curve in validation_curves(rows) if curve.name in DRAWN
    ]
    return [inline(figure) for figure in [*losses, *valid]]


def _metric(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Mean, low and high; empty where the row has no such metric."""
    value = row["metrics"].get(name, row.get(name))
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"mean": value}


def _cell(value: Mapping[str, Any], best: float) -> dict[str, Any] | None:
    if not value:
        return None
    interval = ""
    if value.get("low") is not None:
        interval = f"{value['low']:.3f} – {value['high']:.3f}"  # noqa: RUF001
    return {"mean": f"{value['mean']:.4f}", "interval": interval, "best": value["mean"] == best}


def inline(figure: str) -> Markup:
    """A figure of the report as it may stand in a page whose policy refuses inline styles.

    Every ``style`` becomes presentation attributes, which say the same and are no style to the
    policy; the drawing's own style sheet, of line joints only, becomes an attribute of the whole.
    The figure's words were escaped by who drew it.
    """
    figure = re.sub(r"<style.*?</style>", "", figure, flags=re.DOTALL)
    figure = figure.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
    figure = re.sub(r' style="([^"]*)"', lambda found: _attributes(found[1]), figure)
    return Markup(figure)


def _attributes(style: str) -> str:
    said = ""
    for declaration in filter(None, map(str.strip, style.split(";"))):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = re.search(r"([\d.]+)px", value)
            said += f' font-size="{size[1]}px"' if size else ""
        elif not name.startswith("-"):
            said += f' {name}="{value}"'
    return said
