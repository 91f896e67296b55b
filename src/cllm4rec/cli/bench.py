"""``cllm4rec bench``: benchmarks, each a plan's cells in one table."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from cllm4rec.cli.options import run_option, type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.run import RunDir


@click.group()
def bench() -> None:
    """Compare models and baselines over data sets and seeds; measure speed on this machine."""


def _print_page(table: dict[str, Any]) -> None:
    from cllm4rec.experiments import table_page

    click.echo(table_page(table), nl=False)


@bench.command()
@click.argument("plan", type=type_of_path, metavar="PLAN.toml")
@click.option(
    "--out", type=type_of_path, required=True, metavar="DIR", help="Folder of cells and tables."
)
@click.option(
    "--only-datasets", multiple=True, metavar="NAME", help="Compute for these; may be repeated."
)
@click.option(
    "--only-models",
    multiple=True,
    metavar="NAME",
    help="Compute these models and baselines; may be repeated.",
)
@partial(output_option, show=_print_page)
def quality(
    plan: Path, out: Path, only_datasets: tuple[str, ...], only_models: tuple[str, ...]
) -> dict[str, Any]:
    """Recall and NDCG of models and baselines, with intervals.

    Computes what PLAN.toml names and DIR lacks: a finished cell is never computed twice, so an
    interrupted bench goes on when it is called again. Then the table of all that is finished, in
    DIR too: table.md, table.json, slices.md, plot.png. Exits with 1 where a cell failed.
    """
    from cllm4rec import experiments

    return experiments.quality(
        experiments.load_plan(plan), out, only_datasets=only_datasets, only_models=only_models
    )


@bench.command()
@run_option
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=20.0, metavar="S", help="Per load. [20]"
)
@click.option(
    "--steady",
    type=click.FloatRange(min=1),
    default=60.0,
    metavar="N",
    help="Requests a second of the steady load. [60]",
)
@output_option
def service(run: RunDir, seconds: float, steady: float) -> dict[str, Any]:
    """Latency and rate of a run's service, and what it does when asked for too much.

    Starts the server in a process of its own and asks for lists after histories of 50 items: one
    at a time beside the bare forward pass, at a steady rate, as fast as it can, and at five times
    that.
    """
    from cllm4rec.bench.service import Load
    from cllm4rec.bench.service import service as measure

    return measure(run, Load(seconds=seconds, steady_per_s=steady))


def _show_speed(result: dict[str, Any]) -> None:
    from cllm4rec.bench.speed import readable
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


@bench.command()
@click.option(
    "--data",
    default="movielens-100k",
    metavar="NAME|DIR",
    help="A known data set or an input directory. [movielens-100k]",
)
@click.option("--split", type=type_of_path, metavar="FILE", help="Split file to keep to.")
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
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one setting; may be repeated.",
)
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
    from cllm4rec.bench.speed import measure_speed
    from cllm4rec.bench.speed.settings import STAGES

    return measure_speed(
        data,
        split=split,
        depths=depths,
        stages=STAGES if stages is None else stages,
        overrides=overrides,
        seconds=seconds,
        plot=plot,
    )


@bench.command("batch")
@click.option("--users", type=click.IntRange(min=1), default=5_000, metavar="N", help="[5000]")
@click.option("--items", type=click.IntRange(min=40), default=20_000, metavar="N", help="[20000]")
@click.option("--k", type=click.IntRange(min=1), default=100, metavar="N", help="[100]")
@click.option("--prior", is_flag=True, help="Blend in a linear prior: 4 · items² bytes more.")
@output_option
def batch_scoring(users: int, items: int, k: int, prior: bool) -> dict[str, Any]:
    """Batch scoring beside the bare backbone, in users per second.

    A synthetic catalogue and synthetic users with 20 items each; two layers of the default
    backbone, random weights in its shape where it is not in the cache. Both run on the same token
    batches, taking turns in one process. Nothing is kept.
    """
    from cllm4rec.bench.batch import batch

    return batch(users=users, items=items, k=k, prior=prior)
