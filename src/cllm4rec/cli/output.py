"""Results on standard output: one JSON object, or tables to read."""

import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import wraps
from typing import Any

import click

from cllm4rec import progress
from cllm4rec.cli.failures import OUR_FAULT, full_disk_refused
from cllm4rec.run.processes import is_main

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


Result = Mapping[str, Any]
Options = Mapping[str, Any]
"""What a command was given, by name."""


def output_option(
    command: Callable[..., dict[str, Any]],
    show: Callable[[dict[str, Any]], None] | None = None,
    *,
    brief: Callable[[Result, Options], Result] | None = None,
    follow: Callable[[Result, Options], str | None] | None = None,
) -> Callable[..., None]:
    """``--json``: print the command's result as one JSON object and nothing else.

    Args:
        command: its result is printed; one that lists what ``failed`` then exits with 1.
        show: prints a result to read; as tables where it is not given.
        brief: what of a result is put into the tables; see `cllm4rec.cli.brief`.
        follow: the command that comes next, for a last line; see `cllm4rec.cli.following`.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @wraps(command)
    def printing(*arguments: Any, as_json: bool, **options: Any) -> None:
        # Whatever a library prints must not stand beside the result.
        given = [name for name in ("out", "to", "run") if options.get(name)]
        target = options[given[0]] if given else None
        place = getattr(target, "path", target)
        with (
            redirect_stdout(sys.stderr),
            full_disk_refused(place, *given[:1]),
            progress.until_first("Loading libraries"),
        ):
            result = command(*arguments, **options)
        if not is_main():  # of several that train together
            return
        if as_json:
            escape = not _is_unicode(sys.stdout)
            print(json.dumps(result, ensure_ascii=escape, allow_nan=False, default=_plain))
        elif show is not None:
            show(result)
        else:
            from cllm4rec.cli import tables

            tables.show(result if brief is None else brief(result, options))
        if not as_json and follow is not None and (command_line := follow(result, options)):
            click.echo(f"next: {command_line}")
        sys.stdout.flush()
        if result.get("failed"):
            raise click.exceptions.Exit(OUR_FAULT)

    return printing


def result_of(command: click.Command, arguments: Sequence[str], program: str = "cllm4rec") -> None:
    """Run a command, or a group's, with other libraries' chatter silenced.

    Raises:
        click.ClickException: wrong usage.
        KeyboardInterrupt: Ctrl-C.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A title is printed as far as a terminal of few letters can; no result is lost for it.
        sys.stdout.reconfigure(errors="replace")
    with command.make_context(program, list(arguments)) as context:
        command.invoke(context)


def _is_unicode(stream: Any) -> bool:
    """Whether any letter can be written; ``utf-8`` is assumed of a stream that does not say."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def _plain(value: Any) -> Any:
    """JSON for what the standard library does not know: numpy numbers and paths."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
