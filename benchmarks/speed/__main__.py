"""``python benchmarks/speed``: how fast each stage is, beside what this machine can do."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

if not __package__:  # as `python benchmarks/speed`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.entry import data_options, run_command, set_option
from cllm4rec.cli.options import type_of_path
from cllm4rec.cli.output import output_option


def _show_speed(result: dict[str, Any]) -> None:
    from benchmarks.speed import device_writing, reading
    from cllm4rec.cli import tables

    shown = device_writing if "device" in result else reading
    tables.show(shown.readable(result))


def _numbers(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[int, ...] | None:
    if given is None:
        return None
    numbers = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in numbers):
        raise click.BadParameter(f"{given!r} is not a list of numbers, such as 2,4,8")
    return tuple(dict.fromkeys(map(int, numbers)))


def _names(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    return None if given is None else tuple(dict.fromkeys(n.strip() for n in given.split(",")))


def _refuse(context: click.Context, *names: str, unless: str = "without --device") -> None:
    """Refuse an option of the other kind of measuring.

    Raises:
        click.UsageError: it was given.
    """
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} is only {unless}")


@click.command()
@data_options
@click.option(
    "--depths",
    metavar="N,N…",
    callback=_numbers,
    help="Layers kept. [2,4,8, as many as fit into three minutes; with --device 2 and all]",
)
@click.option(
    "--stages", metavar="NAME,NAME…", callback=_names, help="Measure these only, e.g. evaluate."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Measure so long; three rounds at least. [100; with --device 200, --quick 20]",
)
@click.option("--plot", type=type_of_path, metavar="FILE", help="Draw the roofline (png, svg).")
@click.option("--device", metavar="NAME", help="On a device and synthetic data: cuda, cpu, …")
@click.option("--quick", is_flag=True, help="With --device: small data, steps of 512 tokens.")
@click.option(
    "--tokens",
    metavar="N,N…",
    callback=_numbers,
    help="With --device: tokens of a training step. [the settings'; on a GPU 32768 too]",
)
@click.option(
    "--folder",
    type=type_of_path,
    metavar="DIR",
    help="With --device: for speed.json and speed.md. [speed-NAME]",
)
@set_option
@partial(output_option, show=_show_speed)
@click.pass_context
def speed(
    context: click.Context,
    data: str,
    split: Path | None,
    depths: tuple[int, ...] | None,
    stages: tuple[str, ...] | None,
    seconds: float | None,
    plot: Path | None,
    device: str | None,
    quick: bool,
    tokens: tuple[int, ...] | None,
    folder: Path | None,
    overrides: tuple[str, ...],
) -> dict[str, Any]:
    """Users, tokens and operations per second of every stage.

    Each is first compared with a slow path that shares no arithmetic with it, then timed in rounds
    in which every one has a turn, beside the machine's best matrix product. Stages: content,
    collaborative, finetune-frozen, finetune-holdout, finetune-next, evaluate, recommend, request.
    Exits with 1 where a stage is not equal to the slow path.

    With --device on that device, beside its best product, by many steps as training does them, on
    synthetic data and without any download; --data, --split and --plot are not for it.
    """
    if device is not None:
        _refuse(context, "data", "split", "plot")
        from benchmarks.speed.device import ON_A_DEVICE, measure_device
        from benchmarks.speed.device_writing import write_folder

        result = measure_device(
            device,
            quick=quick,
            depths=depths,
            stages=ON_A_DEVICE if stages is None else stages,
            tokens=tokens,
            overrides=overrides,
            seconds=seconds,
        )
        write_folder(result, folder or Path(f"speed-{device.replace(':', '-')}"))
        return result
    _refuse(context, "quick", "tokens", "folder", unless="with --device NAME")
    from benchmarks.speed.running import measure_speed
    from benchmarks.speed.settings import STAGES

    return measure_speed(
        data,
        split=split,
        depths=depths,
        stages=STAGES if stages is None else stages,
        overrides=overrides,
        seconds=100.0 if seconds is None else seconds,
        plot=plot,
    )


if __name__ == "__main__":
    run_command(speed)
