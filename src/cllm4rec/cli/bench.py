"""``cllm4rec bench``: benchmarks, each a plan's cells in one table."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


@click.group()
def bench() -> None:
    """Compare models and baselines over data sets and seeds."""


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

    loaded = experiments.load_plan(plan, only_datasets)
    return experiments.quality(loaded, out, only_datasets=only_datasets, only_models=only_models)
