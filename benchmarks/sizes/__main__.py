"""``python benchmarks/sizes``: what are item texts worth in a small log, and in a large one?"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/sizes`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.run import write_json


def _show(result: dict[str, Any]) -> None:
    from benchmarks.sizes.table import show

    show(result)


@click.command()
@click.option(
    "--data",
    type=type_of_path,
    metavar="DIR",
    help="Folder of interactions and items. [movielens-100k, downloaded]",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Whose users and items count.")
@click.option("--minilm", type=type_of_path, metavar="DIR", help="A sentence encoder, as a rival.")
@click.option("--backbone", default="smollm2-135m", metavar="NAME", help="[smollm2-135m]")
@click.option("--depth", default=8, metavar="N", help="Layers that read the texts. [8]")
@click.option(
    "--out", type=type_of_path, metavar="FILE", help="JSON that keeps the rows of each log."
)
@click.option("--plot", type=type_of_path, metavar="FILE.svg", help="Picture of all logs in --out.")
@partial(output_option, show=_show)
def sizes(
    data: Path | None,
    split: Path | None,
    minilm: Path | None,
    backbone: str,
    depth: int,
    out: Path | None,
    plot: Path | None,
) -> dict[str, Any]:
    """Measure the linear model without texts and with several readings, by the number of users.

    With --out a log, named after its folder, is measured once.
    """
    if plot is not None and out is None:
        raise click.UsageError("--plot draws what --out keeps; give both")
    from benchmarks.sizes.measure import digest, kept, measured

    settings = {
        "data": None if data is None else digest(data),
        "split": None if split is None else split.name,
        "minilm": minilm is not None,
        "backbone": backbone,
        "depth": depth,
    }
    name = "movielens-100k" if data is None else data.resolve().name
    found = kept(out, name, settings)
    if name not in found:
        rows = measured(data, split, minilm, backbone, depth)
        found[name] = {"settings": settings, **rows}
        if out is not None:
            write_json(out, found)
    if plot is not None:
        from benchmarks.sizes.plot import draw

        draw(found, plot)
    result: dict[str, Any] = found[name]
    return result


if __name__ == "__main__":
    run_command(sizes)
