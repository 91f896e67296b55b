"""``python benchmarks/service``: latency and rate of a run's service, alone and loaded."""

import sys
from pathlib import Path
from typing import Any

import click

if not __package__:  # as `python benchmarks/service`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import run_command
from cllm4rec.cli.options import run_option
from cllm4rec.cli.output import output_option
from cllm4rec.run import RunDir


@click.command()
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
    from benchmarks.service.loads import Load, measure_service

    return measure_service(run, Load(seconds=seconds, steady_per_s=steady))


if __name__ == "__main__":
    run_command(service)
