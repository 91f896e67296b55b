"""``python benchmarks/profiles``: how well are users without a history served by properties?"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/profiles`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show(result: dict[str, Any]) -> None:
    from benchmarks.profiles.table import show

    show(result)


@click.command()
@click.option(
    "--data",
    type=type_of_path,
    metavar="DIR",
    help="Folder of interactions, items and users with properties. [movielens-100k, downloaded]",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Whose users and items count.")
@click.option("--backbone", default="smollm2-135m", metavar="NAME", help="[smollm2-135m]")
@click.option("--depth", default=8, metavar="N", help="Layers that read the properties. [8]")
@partial(output_option, show=_show)
def profiles(data: Path | None, split: Path | None, backbone: str, depth: int) -> dict[str, Any]:
    """Measure recommendations by properties for users held out of training.

    Beside popularity, popularity among users of the same properties, naive Bayes, and the
    properties as a sentence that a language model reads.
    """
    from tempfile import TemporaryDirectory

    from benchmarks.profiles.table import table
    from cllm4rec.data.dataset import Dataset
    from cllm4rec.data.sources.movielens import write_movielens_100k

    with TemporaryDirectory() as scratch:
        if data is None:
            data = Path(scratch)
            write_movielens_100k(data)
        return table(Dataset.load(data, split=split), backbone, depth)


if __name__ == "__main__":
    run_command(profiles)
