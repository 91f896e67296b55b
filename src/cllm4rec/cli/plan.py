"""``cllm4rec plan``: what a size needs, before there are data."""

from typing import Any

import click

from cllm4rec.cli.options import settings_options
from cllm4rec.cli.output import output_option
from cllm4rec.config import request_of

_count = click.IntRange(min=1)


@click.command()
@click.option("--users", type=_count, required=True, metavar="N", help="Users.")
@click.option("--items", type=_count, required=True, metavar="N", help="Items.")
@click.option("--interactions", type=_count, required=True, metavar="N", help="Interactions.")
@click.option("--device", metavar="NAME", help="A100, H100, H200 or L4; else this machine's.")
@click.option("--devices", type=_count, default=1, metavar="K", help="How many. [1]")
@click.option("--memory", type=_count, metavar="GB", help="Of a machine. [this one's]")
@settings_options
@output_option
def plan(
    users: int,
    items: int,
    interactions: int,
    device: str | None,
    devices: int,
    memory: int | None,
    config: str | None,
    overrides: tuple[str, ...],
) -> dict[str, Any]:
    """Memory, operations, hours and what breaks first for a size.

    Nothing is read but the settings and, of a backbone that no preset has, its config.json: name a
    folder, since from the hub the whole model is fetched. auto plans the preset sets, --config
    sequences what has an order. Without --device the program's own steps and lists are timed on
    this machine for some thirty seconds; with it, peak figures of its maker count.

    \b
    Examples:
        cllm4rec plan --users 100000 --items 20000 --interactions 2000000
        cllm4rec plan --users 100000000 --items 10000000 --interactions 5000000000 \\
            --device H100 --devices 64 --memory 1000
    """  # noqa: D301
    request = request_of(config, overrides)
    from cllm4rec.planning import Size
    from cllm4rec.planning import plan as planned

    return planned(
        Size(users, items, interactions),
        request,
        device=device,
        devices=devices,
        host_memory=None if memory is None else memory * 1e9,
    )
