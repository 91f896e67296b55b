"""The table of held-out tags."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.queries.rivals import rows
from benchmarks.queries.tags import K, compared, measured, per_tag, recall, world
from benchmarks.queries.titles import first_by_title


def table(data: Path, minilm: Path | None, backbone: str) -> dict[str, Any]:
    """Recall of held-out tags by kind of question and row."""
    at = world(data)
    tags = list(at.tags)
    found, titles = {}, {}
    for name, score in rows(at, minilm, backbone):
        found[name] = measured(per_tag(at, score), tags)
        if name == "ours":
            titles = first_by_title(at, score)
    by_taste = {
        tag: float(
            np.mean([recall(at.taste[row].copy(), of) for t, row, of in at.pairs if t == tag])
        )
        for tag in {tag for tag, _, _ in at.pairs}
    }
    alone = [{tag: by_taste[tag] for tag in of} for of in found["ours"]["history"]["values"]]
    found["history alone"] = {"history": {"values": alone, "weights": []}}
    kinds: dict[str, Any] = {}
    for kind in ("alone", "popular", "history"):
        ours = found["ours"][kind]["values"]
        kinds[kind] = {
            name: {**compared(ours, of[kind]["values"]), "weights": of[kind]["weights"]}
            for name, of in found.items()
            if kind in of
        }
    return {"tags": len(tags), "pairs": len(at.pairs), "kinds": kinds, "titles": titles}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    for kind, of in result["kinds"].items():
        click.echo(f"\n{kind}: Recall@{K} of held-out tags; ours less row, 95 %")
        for name, row in of.items():
            gap = f"{row['low']:+.3f} to {row['high']:+.3f}"
            click.echo(f"  {name:20s} {row['other']:.4f}  weights {row['weights']}  {gap}")
    click.echo(f"\ntitles as queries, with popularity: share first listed; Recall@{K} of tags")
    for name, row in result["titles"].items():
        figures = "  ".join(f"{form} {value:.3f}" for form, value in row.items())
        click.echo(f"  {name:20s} {figures}")
