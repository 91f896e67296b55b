"""What the benchmarks' command lines share: a result, messages and exit codes as the program's."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from cllm4rec.cli.failures import exit_code
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import result_of


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--data`` and ``--split``."""
    command = click.option(
        "--split", type=type_of_path, metavar="FILE", help="Split file to keep to."
    )(command)
    return click.option(
        "--data",
        default="movielens-100k",
        metavar="NAME|DIR",
        help="A known data set or an input directory. [movielens-100k]",
    )(command)


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting (`device=cuda`, `finetune.epochs=5`); may be repeated.",
)


def input_folder(data: str, scratch: Path) -> Path:
    """The input directory of ``--data``; a known data set is made in ``scratch``."""
    from cllm4rec.data.sources import SOURCES

    if data not in SOURCES:
        return Path(data)
    source = scratch / "source"
    source.mkdir()
    SOURCES[data](source)
    return source


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one benchmark and exit.

    Exit codes: 0 done; 2 wrong input or usage, one line on standard error; 130 interrupted; 1 a
    fault of ours, or something that is measured is not what it should be.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code(lambda: result_of(command, given, f"benchmarks/{command.name}")))
