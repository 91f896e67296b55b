"""``python benchmarks/short_histories RUN…``: lists for visitors of whom few items are known."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/short_histories`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show(result: dict[str, Any]) -> None:
    from benchmarks.short_histories.table import show

    show(result)


@click.command(name="short_histories")
@click.argument("runs", type=type_of_path, metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    default=("popularity", "ials", "ease-text-order"),
    metavar="NAME",
    help="Beside the run; may be repeated. [popularity, ials, ease-text-order]",
)
@partial(output_option, show=_show)
def short_histories(runs: tuple[Path, ...], baselines: tuple[str, ...]) -> dict[str, Any]:
    """Measure trained runs where only 1, 2, 3, 5 or 10 items of each test user are told.

    Several runs are seeds of one model, on the same data: their users' values are averaged.
    """
    from benchmarks.short_histories.table import table

    return table(runs, baselines)


if __name__ == "__main__":
    run_command(short_histories)
