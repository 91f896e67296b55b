"""``python benchmarks/batch``: batch scoring beside the bare backbone."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/batch`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.output import output_option


@click.command()
@click.option("--users", type=click.IntRange(min=1), default=5_000, metavar="N", help="[5000]")
@click.option("--items", type=click.IntRange(min=40), default=20_000, metavar="N", help="[20000]")
@click.option("--k", type=click.IntRange(min=1), default=100, metavar="N", help="[100]")
@click.option("--linear", is_flag=True, help="Blend in a linear model: 4 · items² bytes more.")
@output_option
def batch(users: int, items: int, k: int, linear: bool) -> dict[str, Any]:
    """Batch scoring beside the bare backbone, in users per second.

    A synthetic catalogue and synthetic users with 20 items each; two layers of the default
    backbone, random weights in its shape where it is not in the cache. Both run on the same token
    batches, taking turns in one process. Nothing is kept.
    """
    from benchmarks.batch.scoring import measure_batch

    return measure_batch(users=users, items=items, k=k, linear=linear)


if __name__ == "__main__":
    run_command(batch)
