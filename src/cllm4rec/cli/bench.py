"""``cllm4rec bench``: benchmarks, each a plan's cells in one table."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from cllm4rec.cli.output import output_option

type_of_path = click.Path(path_type=Path)


@click.group()
def bench() -> None:
    """Compare models and baselines over data sets and seeds; time batch scoring."""


def _print_page(table: dict[str, Any]) -> None:
    from cllm4rec.bench import table_page

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
    from cllm4rec import bench

    return bench.quality(
        bench.load_plan(plan), out, only_datasets=only_datasets, only_models=only_models
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
