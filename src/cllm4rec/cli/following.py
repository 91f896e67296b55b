"""The command that comes next, for the last line of a command's output.

Each can be copied into a shell as it stands: paths are quoted, and what it is for is a comment.
"""

import shlex
from pathlib import Path

from cllm4rec.cli.output import Options, Result
from cllm4rec.run import RunDir
from cllm4rec.stages.measurable import is_measurable


def after_data(result: Result, options: Options) -> str:
    """Prepare them."""
    run = Path("runs") / result["name"]
    return f"cllm4rec prepare --data {_quoted(options['to'])} --run {_quoted(run)}"


def after_prepare(_result: Result, options: Options) -> str:
    """Train."""
    return f"cllm4rec train --run {_quoted(options['run'].path)}"


def after_training(_result: Result, options: Options) -> str:
    """Measure the model; where `refit` left nothing to measure it on, use it."""
    run = trained_run(options)
    if not is_measurable(run):
        return _lists_of(run)
    return f"cllm4rec evaluate --run {_quoted(run.path)}  # beside tuned baselines"


def after_evaluate(_result: Result, options: Options) -> str | None:
    """Train on what was held out too; a run that `refit` made goes to work. None after lists."""
    run: RunDir = options["run"]
    if options.get("topk") is not None:
        return None
    if run.is_done("prepare") and "refit" in run.info("prepare"):
        return _lists_of(run)
    named = run.path.resolve() if run.path.name in ("", "..") else run.path
    to = named.with_name(f"{named.name}-at-work")
    return (
        f"cllm4rec refit --run {_quoted(run.path)} --to {_quoted(to)}"
        "  # on what was held out too, before it goes to work"
    )


def after_items(result: Result, options: Options) -> str | None:
    """The new items are listed at once; None where none was added."""
    return _lists_of(options["run"]) if result.get("added") else None


def after_demo(_result: Result, options: Options) -> str:
    """Something of one's own."""
    return f'cllm4rec recommend --run {_quoted(options["run"].path)} --query "war in space"'


def trained_run(options: Options) -> RunDir:
    """The run that a training wrote into: `refit` makes another."""
    run: RunDir = RunDir(options["to"]) if "to" in options else options["run"]
    return run


def _lists_of(run: RunDir) -> str:
    place = _quoted(run.path)
    return (
        f"cllm4rec recommend --run {place} --all --k 20 --out lists.parquet"
        f"  # or: cllm4rec serve --run {place}"
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
