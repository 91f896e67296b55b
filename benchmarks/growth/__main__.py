"""``python benchmarks/growth``: synthetic worlds of any size."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/growth`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option

_count = click.IntRange(min=1)


@click.command()
@click.option("--users", type=_count, required=True, metavar="N", help="Users.")
@click.option("--items", type=click.IntRange(min=8), required=True, metavar="N", help="Items.")
@click.option("--interactions", type=_count, required=True, metavar="N", help="Rows of the log.")
@click.option("--seed", type=int, default=0, metavar="N", help="Of every draw. [0]")
@click.option("--to", type=type_of_path, required=True, metavar="DIR", help="Folder to write.")
@output_option
def growth(users: int, items: int, interactions: int, seed: int, to: Path) -> dict[str, Any]:
    """Write a synthetic input directory of any size, in blocks of a million rows."""
    from benchmarks.growth.world import write_world

    write_world(to, users=users, items=items, interactions=interactions, seed=seed)
    return {"folder": to, "users": users, "items": items, "interactions": interactions}


if __name__ == "__main__":
    run_command(growth)
