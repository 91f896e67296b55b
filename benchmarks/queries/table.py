"""The table of held-out tags."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.queries.rivals import rows
from benchmarks.queries.tags import PROGRAM, K, compared, measured, per_tag, recall, world
from benchmarks.queries.titles import first_by_title

NOT_LIFTED = ", not lifted"
"""Of a row's name: its weight is chosen among points without a lift."""


def table(data: Path, minilm: Path | None, backbone: str) -> dict[str, Any]:
    """Recall of held-out tags by kind of question and row."""
    at = world(data)
    tags = list(at.tags)
    found, titles = {}, {}
    for row in rows(at, minilm, backbone):
        values = per_tag(at, row.scores, row.having_all)
        tried = {kind: {p: v for p, v in of.items() if p != PROGRAM} for kind, of in values.items()}
        unlifted = {kind: {p: v for p, v in of.items() if not p[1]} for kind, of in tried.items()}
        found[row.name] = measured(tried, tags)
        found[f"{row.name}{NOT_LIFTED}"] = measured(unlifted, tags)
        if row.name == "ours":
            fixed = {kind: {PROGRAM: of[PROGRAM]} for kind, of in values.items() if PROGRAM in of}
            found["ours, the program's"] = measured(fixed, tags)
            titles = first_by_title(at, row.scores, row.having_all)
    by_taste = {
        tag: float(
            np.mean([recall(at.taste[row].copy(), of) for t, row, of in at.pairs if t == tag])
        )
        for tag in {tag for tag, _, _ in at.pairs}
    }
    alone = [{tag: by_taste[tag] for tag in of} for of in found["ours"]["history"]["values"]]
    found["history alone"] = {"history": {"values": alone, "chosen": []}}
    kinds: dict[str, Any] = {}
    for kind in ("alone", "popular", "history"):
        kinds[kind] = {
            name: {
                **compared(found[ours_beside(name)][kind]["values"], of[kind]["values"]),
                "chosen": of[kind]["chosen"],
            }
            for name, of in found.items()
            if kind in of
        }
    return {"tags": len(tags), "pairs": len(at.pairs), "kinds": kinds, "titles": titles}


def ours_beside(name: str) -> str:
    """The row of ours that a row is compared with: one that is not lifted with its like."""
    unlike = name == f"ours{NOT_LIFTED}" or not name.endswith(NOT_LIFTED)
    return "ours" if unlike else f"ours{NOT_LIFTED}"


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    for kind, of in result["kinds"].items():
        click.echo(
            f"\n{kind}: Recall@{K} of held-out tags; ours less row, 95 %; like by like lifted"
        )
        for name, row in of.items():
            gap = f"{row['low']:+.3f} to {row['high']:+.3f}  p {row['p']:.4f}"
            click.echo(f"  {name:32s} {row['other']:.4f}  {gap}  chosen {row['chosen']}")
    click.echo(f"\ntitles as queries, with popularity: share first listed; Recall@{K} of tags")
    for name, row in result["titles"].items():
        figures = "  ".join(f"{form} {value:.3f}" for form, value in row.items())
        click.echo(f"  {name:20s} {figures}")
