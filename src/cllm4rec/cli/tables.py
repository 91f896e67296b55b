"""A stage's result as tables in the terminal."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cllm4rec.config.naming import row_label
from cllm4rec.errors import shortened

SHOWN_METRICS = ("recall@20", "recall@40", "ndcg@100")
"""What fits a terminal of 80 columns, unless the result says by what it selected; `--json` and the
report have the rest."""

MOST_OF_A_TITLE = 100
"""Characters of a title in a table; JSON has all."""
WIDEST = 10_000
"""Columns of a table that is not printed to a terminal; no table is filled up to it."""
_NOT_SHOWN = {"files", "identity"}  # hashes: for programs, which read --json


class _Console(Console):
    """A console that leaves a reader who went away to `failures.exit_code`, as ``--json`` does."""

    def on_broken_pipe(self) -> None:
        """Rich would end the program with exit code 1."""
        raise BrokenPipeError


def show(result: Mapping[str, Any]) -> None:
    """Print the plain values first, then a table for every list of rows, in the order given."""
    console = _Console(highlight=False, soft_wrap=True, width=_width())
    if sys.stdout.isatty():
        _print(console, result)
        return
    with console.capture() as captured:
        _print(console, result)
    # Rich fills every line up with blanks, in a file 250 of them where one row is long.
    lines = (line.rstrip(" ") for line in captured.get().split("\n"))
    print("\n".join(lines), end="")


def _print(console: Console, result: Mapping[str, Any]) -> None:
    facts = _facts(result)
    if facts:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in facts.items():
            table.add_row(Text(name, style="dim"), Text(cell(value)))
        console.print(table)
    for name, rows in _lists(result).items():
        shown = result.get("selection", SHOWN_METRICS)
        console.print(_scores(rows, shown) if "metrics" in rows[0] else _rows(name, rows))


def _width() -> int | None:
    """A terminal's own, or that of ``COLUMNS``; a file or a pipe cuts nothing short."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDEST


def cell(value: Any) -> str:
    """One value to read; control characters of a user's text become spaces."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value)) or "none"
    shown = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in shown)


def _facts(result: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in result.items():
        if key in _NOT_SHOWN:
            continue
        # A sentence may name a setting, such as data.minimum_interactions.
        name = prefix + (key if " " in key else key.replace("_", " "))
        if isinstance(value, Mapping):
            facts |= _facts(value, f"{name} · ")
        elif not _is_rows(value):
            facts[name] = value
    return facts


def _lists(result: Mapping[str, Any], prefix: str = "") -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for key, value in result.items():
        if isinstance(value, Mapping):
            lists |= _lists(value, f"{prefix}{key} · ")
        elif _is_rows(value):
            lists[f"{prefix}{key}"] = value
    return lists


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _rows(name: str, rows: list[dict[str, Any]]) -> Table:
    """Any list of rows; the columns are the keys."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    title = None if name == "rows" else Text(cell(name), style="italic")
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        shown = ((column, cell(row.get(column))) for column in columns)
        table.add_row(
            *(
                Text(shortened(value, MOST_OF_A_TITLE) if column == "title" else value)
                for column, value in shown
            )
        )
    return table


def _scores(rows: list[dict[str, Any]], metrics: Sequence[str]) -> Table:
    """The results table: a model a row, a metric a column, the 95 % interval under the mean."""
    shown = [metric for metric in metrics if any(metric in row["metrics"] for row in rows)]
    table = Table(box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for metric in shown:
        table.add_column(metric, justify="right")
    for row in rows:
        table.add_row(
            Text(row_label(row)), *(_score(row["metrics"].get(metric)) for metric in shown)
        )
    return table


def _score(metric: Any) -> Text:
    if metric is None:
        return Text("")
    if not isinstance(metric, Mapping):
        return Text(f"{metric:.4f}")
    text = Text(f"{metric['mean']:.4f}", style="bold")
    if metric.get("low") is not None:
        text.append(f"\n{metric['low']:.3f} – {metric['high']:.3f}", style="not bold dim")  # noqa: RUF001
    return text
