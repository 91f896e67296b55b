"""``python benchmarks/queries``: do queries in words find the items that carry a tag?"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/queries`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show(result: dict[str, Any]) -> None:
    from benchmarks.queries.table import show

    show(result)


@click.command()
@click.option(
    "--data",
    type=type_of_path,
    required=True,
    metavar="DIR",
    help="Folder of interactions, items and reviews.parquet, whose texts are the tags.",
)
@click.option("--minilm", type=type_of_path, metavar="DIR", help="A sentence encoder, as a rival.")
@click.option("--backbone", default="smollm2-135m", metavar="NAME", help="[smollm2-135m]")
@partial(output_option, show=_show)
def queries(data: Path, minilm: Path | None, backbone: str) -> dict[str, Any]:
    """Measure queries in words on held-out tags.

    Beside BM25 (bm25s), TF-IDF and a sentence encoder; each alone, with popularity, and with a
    history that EASE scores.
    """
    from benchmarks.queries.table import table

    return table(data, minilm, backbone)


if __name__ == "__main__":
    run_command(queries)
