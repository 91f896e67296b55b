"""``python benchmarks/processes``: training on one and on several processes, in turns."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/processes`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import data_options, run_command, set_option
from cllm4rec.cli.output import output_option

_count = click.IntRange(min=1)


@click.command()
@data_options
@click.option("--depth", type=_count, default=2, metavar="N", help="Layers kept. [2]")
@click.option(
    "--profile",
    type=click.Choice(["holdout", "next", "paper"]),
    default="holdout",
    help="Presets sets, sequences or paper-small. [holdout]",
)
@click.option("--steps", type=_count, default=12, metavar="N", help="Steps timed. [12]")
@click.option("--processes", type=_count, default=2, metavar="N", help="Beside one; or 1. [2]")
@click.option("--divided", is_flag=True, help="Also with divided tables, lazy ones of users.")
@click.option("--sharded", is_flag=True, help="Also with the trained backbone sharded.")
@click.option("--turns", type=_count, default=3, metavar="N", help="Times that both run. [3]")
@set_option
@output_option
def processes(
    data: str, split: Path | None, overrides: tuple[str, ...], **plan: Any
) -> dict[str, Any]:
    """Finetuning on one and on several processes, in users per second.

    Each process has one thread. Whole optimiser steps are timed: documents, forward, backward,
    sums over the processes, update. Processor seconds stand beside, since other programs' load
    does not lengthen those, and the peak memory of the largest process.
    """
    from benchmarks.processes.turns import measure_processes

    return measure_processes(data, split, overrides, **plan)


if __name__ == "__main__":
    run_command(processes)
