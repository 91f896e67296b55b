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
@click.option("--users", type=_count, metavar="N", help="Users of a world to write.")
@click.option("--items", type=click.IntRange(min=8), metavar="N", help="Its items.")
@click.option("--interactions", type=_count, metavar="N", help="Rows of its log.")
@click.option("--seed", type=int, default=0, metavar="N", help="Of every draw. [0]")
@click.option("--to", type=type_of_path, metavar="DIR", help="Folder to write it to.")
@click.option("--sizes", multiple=True, metavar="USERSxITEMS", help="To measure; repeatable.")
@click.option("--planned", is_flag=True, help="Compare the plan with real runs of --sizes.")
@click.option("--out", type=type_of_path, metavar="FILE", help="JSON of what is measured.")
@click.option("--plot", type=type_of_path, metavar="FILE.svg", help="Picture of --out.")
@output_option
def growth(
    users: int | None,
    items: int | None,
    interactions: int | None,
    seed: int,
    to: Path | None,
    sizes: tuple[str, ...],
    planned: bool,
    out: Path | None,
    plot: Path | None,
) -> dict[str, Any]:
    """Write a world of any size, or measure how the stages grow.

    \b
    python benchmarks/growth --users 1000 --items 500 --interactions 20000 --to WORLD
    python benchmarks/growth --sizes 1000x5000 --sizes 10000x5000 --out rows.json --plot growth.svg
    python benchmarks/growth --planned --sizes 1000x8000
    """  # noqa: D301
    if to is not None:
        if users is None or items is None or interactions is None:
            raise click.UsageError("--to needs --users, --items and --interactions")
        from benchmarks.growth.world import write_world

        write_world(to, users=users, items=items, interactions=interactions, seed=seed)
        return {"folder": to, "users": users, "items": items, "interactions": interactions}
    wanted = [_size(each) for each in sizes]
    if planned:
        from benchmarks.growth.planned import compare

        return {"rows": compare(wanted)}
    if out is None:
        raise click.UsageError("give --to, --planned or --out")
    from benchmarks.growth.measure import measure_growth

    rows = measure_growth(wanted, out)
    if plot is not None:
        from benchmarks.growth.plot import draw

        draw(rows, plot)
    return {"rows": rows}


def _size(given: str) -> tuple[int, int]:
    users, _, items = given.partition("x")
    if not (users.isdecimal() and items.isdecimal()):
        raise click.UsageError(f"--sizes {given} is not USERSxITEMS, such as 1000x5000")
    return int(users), int(items)


if __name__ == "__main__":
    run_command(growth)
