"""``python benchmarks/speed``: how fast each stage is, beside what this machine can do."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/speed`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import data_options, run_command, set_option
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show_speed(result: dict[str, Any]) -> None:
    from benchmarks.speed.reading import readable
    from cllm4rec.cli import tables

    tables.show(readable(result))


def _numbers(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[int, ...] | None:
    if given is None:
        return None
    numbers = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in numbers):
        raise click.BadParameter(f"{given!r} is not a list of numbers of layers, such as 2,4,8")
    return tuple(dict.fromkeys(map(int, numbers)))


def _names(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    return None if given is None else tuple(dict.fromkeys(n.strip() for n in given.split(",")))


@click.command()
@data_options
@click.option(
    "--depths",
    metavar="N,N…",
    callback=_numbers,
    help="Layers kept. [2,4,8, as many as fit into three minutes]",
)
@click.option(
    "--stages", metavar="NAME,NAME…", callback=_names, help="Measure these only, e.g. evaluate."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=100.0,
    metavar="S",
    help="Measure so long; three rounds at least. [100]",
)
@click.option("--plot", type=type_of_path, metavar="FILE", help="Draw the roofline (png, svg).")
@set_option
@partial(output_option, show=_show_speed)
def speed(
    data: str,
    split: Path | None,
    depths: tuple[int, ...] | None,
    stages: tuple[str, ...] | None,
    seconds: float,
    plot: Path | None,
    overrides: tuple[str, ...],
) -> dict[str, Any]:
    """Users, tokens and operations per second of every stage.

    Each is first compared with a slow path that shares no arithmetic with it, then timed in rounds
    in which every one has a turn, beside the machine's best matrix product. Stages: content,
    collaborative, finetune-frozen, finetune-holdout, finetune-next, evaluate, recommend, request.
    Exits with 1 where a stage is not equal to the slow path.
    """
    from benchmarks.speed.running import measure_speed
    from benchmarks.speed.settings import STAGES

    return measure_speed(
        data,
        split=split,
        depths=depths,
        stages=STAGES if stages is None else stages,
        overrides=overrides,
        seconds=seconds,
        plot=plot,
    )


if __name__ == "__main__":
    run_command(speed)
