"""``python benchmarks/authors``: training as the authors' code does it, beside ours."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/authors`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show(result: dict[str, Any]) -> None:
    from benchmarks.authors.comparison import show

    show(result)


_count = click.IntRange(min=1)


@click.command()
@click.option(
    "--data",
    default="movielens-100k",
    metavar="NAME|DIR",
    help="A known data set or an input directory. [movielens-100k]",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Split file to keep to.")
@click.option(
    "--batches", type=_count, default=3, metavar="N", help="Of the authors' 20 documents. [3]"
)
@click.option("--layers", type=_count, default=12, metavar="N", help="Of the GPT-2. [12]")
@click.option("--width", type=_count, default=768, metavar="N", help="Of the GPT-2. [768]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one setting; may be repeated.",
)
@partial(output_option, show=_show)
def authors(
    data: str,
    split: Path | None,
    batches: int,
    layers: int,
    width: int,
    overrides: tuple[str, ...],
) -> dict[str, Any]:
    """Training as the authors' code does it, beside ours: same documents, backbone and losses.

    The losses of both must agree before either is timed; exits with 1 where they do not.
    """
    from benchmarks.authors.comparison import compare
    from benchmarks.authors.paths import write_gpt2
    from cllm4rec.data.dataset import Dataset
    from cllm4rec.data.sources import SOURCES

    with tempfile.TemporaryDirectory(prefix="cllm4rec-authors-") as name:
        folder, source = Path(name), Path(data)
        if data in SOURCES:
            source = folder / "source"
            source.mkdir()
            SOURCES[data](source)
        dataset = Dataset.load(source, split=split, folder=folder / "data")
        backbone = write_gpt2(folder / "gpt2", layers, width)
        return compare(dataset, backbone, folder, batches=batches, overrides=overrides)


if __name__ == "__main__":
    run_command(authors)
