"""What the benchmarks' command lines share: a result, messages and exit codes as the program's."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cllm4rec.cli.failures import exit_code
from cllm4rec.cli.output import result_of


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one benchmark and exit.

    Exit codes: 0 done; 2 wrong input or usage, one line on standard error; 130 interrupted; 1 a
    fault of ours, or something that is measured is not what it should be.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code(lambda: result_of(command, given, f"benchmarks/{command.name}")))
