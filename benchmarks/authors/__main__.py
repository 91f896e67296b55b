"""``python benchmarks/authors``: training as the authors' code does it, beside ours."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/authors`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import data_options, input_folder, run_command, set_option
from cllm4rec.cli.output import output_option


def _show(result: dict[str, Any]) -> None:
    from benchmarks.authors.comparison import show

    show(result)


_count = click.IntRange(min=1)


@click.command()
@data_options
@click.option(
    "--batches", type=_count, default=3, metavar="N", help="Of the authors' 20 documents. [3]"
)
@click.option("--layers", type=_count, default=12, metavar="N", help="Of the GPT-2. [12]")
@click.option("--width", type=_count, default=768, metavar="N", help="Of the GPT-2. [768]")
@set_option
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

    with tempfile.TemporaryDirectory(prefix="cllm4rec-authors-") as name:
        folder = Path(name)
        source = input_folder(data, folder)
        dataset = Dataset.load(source, split=split, folder=folder / "data")
        backbone = write_gpt2(folder / "gpt2", layers, width)
        return compare(dataset, backbone, folder, batches=batches, overrides=overrides)


if __name__ == "__main__":
    run_command(authors)
