"""``python benchmarks/permuted``: control data of ``benchmarks/paper.toml``."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/permuted`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.errors import InputError
from cllm4rec.run import atomic_folder, refuse_inside_run


@click.command()
@click.option(
    "--data", type=type_of_path, required=True, metavar="DIR", help="Input, Parquet files."
)
@click.option("--split", type=type_of_path, required=True, metavar="FILE", help="Its split.")
@click.option("--to", type=type_of_path, required=True, metavar="DIR", help="Folder to write.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the permutations.")
@output_option
def permuted(data: Path, split: Path, to: Path, seed: int) -> dict[str, Any]:
    """Write a copy of an input directory whose texts are permuted between items."""
    refuse_inside_run(to, "--to")
    if to.is_dir() and any(to.iterdir()):
        raise InputError(f"--to {to} is not empty; choose another folder")
    from benchmarks.permuted.texts import write_permuted

    with atomic_folder(to) as folder:
        return {"folder": to, "rows": write_permuted(data, split, folder, seed)}


if __name__ == "__main__":
    run_command(permuted)
