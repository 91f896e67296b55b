"""Options that several commands share."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cllm4rec import progress
from cllm4rec.config import read_config, request_of
from cllm4rec.errors import InputError
from cllm4rec.run import RunDir, place_among_processes
from cllm4rec.stages.measurable import refuse_unmeasurable


class _NamedPath(click.Path):
    """A non-empty path: with RUN unset, `--run "$RUN"` must not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


type_of_path = _NamedPath(path_type=Path)


def replaceable(_context: click.Context, _option: click.Parameter, path: Path) -> Path:
    """Check that a folder can be replaced by a rename.

    Raises:
        click.BadParameter: the path is ``.``, ``..`` or ``/``.
    """
    if path.name in ("", ".."):
        raise click.BadParameter(f"{path} cannot be replaced as a whole; name a folder in it")
    return path


def run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--run DIR``, passed on as a :class:`RunDir`."""
    return click.option(
        "--run",
        type=type_of_path,
        required=True,
        metavar="DIR",
        callback=lambda _context, _option, path: RunDir(path),
        help="The folder this run lives in.",
    )(command)


def settings_options(command: Callable[..., Any], start: str = "auto") -> Callable[..., Any]:
    """``--config`` and ``--set``, the only two ways to change a setting.

    Args:
        command: to which they belong.
        start: where settings start without ``--config``, for its help.
    """
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting (`device=cuda`, `finetune.epochs=5`); may be repeated. "
        "docs/configuration.md lists all.",
    )(command)
    return click.option(
        "--config",
        metavar="PRESET|FILE",
        help=f"Where settings start: auto, sets, sequences, paper, paper-small, or a TOML "
        f"file. [{start}]",
    )(command)


def run_settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """:func:`settings_options` of a command that begins from what the run is set to."""
    return settings_options(command, "the run's settings")


def ready(
    run: RunDir,
    *files: Path | None,
    after: str = "finetune",
    config: str | None = None,
    overrides: Sequence[str] = (),
    measured: bool = False,
) -> None:
    """Say what is wrong at sight now: what a command loads next takes many seconds.

    Args:
        run: whose stage ``after`` must be done; a saved model has been trained.
        files: that must be there, where they are given.
        after: ``"prepare"`` or ``"finetune"``.
        config: as given.
        overrides: as given.
        measured: whether held-out interactions must be left.

    Raises:
        CLLM4RecError: what the stage itself would raise later.
    """
    kept = run.settings
    request_of(read_config(kept) if config is None and kept.is_file() else config, overrides)
    for file in files:
        if file is not None and not file.exists():
            raise InputError(f"{file} does not exist")
    if after == "finetune":
        run.require_trained()
        if run.begun_settings.is_file():
            progress.note(
                f"a training of {run.path} with other settings is not done: what follows is of the "
                f"model before it; go on with `cllm4rec train --run {run.path}`"
            )
    else:
        run.info(after)
    if measured:
        refuse_unmeasurable(run)


def together(command: Callable[..., Any]) -> Callable[..., Any]:
    """Under torchrun: the command's processes do it together."""

    @wraps(command)
    def joining(*arguments: Any, **options: Any) -> Any:
        if place_among_processes()[1] == 1:
            return command(*arguments, **options)
        from cllm4rec.training.world import joined

        with joined():
            return command(*arguments, **options)

    return joining
