"""Settings of a run: those of its model, and those of a training that has begun."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cllm4rec import progress
from cllm4rec.config import Config, read_config, to_toml
from cllm4rec.errors import CLLM4RecError
from cllm4rec.run import RunDir, atomic_write, is_main

CHANGEABLE = ("baselines", "baseline_settings", "bootstrap")
"""Settings of ``evaluate`` that no trained model depends on."""


def write_settings(path: Path, config: Config) -> None:
    """Write them as TOML, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(to_toml(config), encoding="utf-8")


def keep_settings(run: RunDir, config: Config) -> None:
    """Make these the run's; none of another training wait any more."""
    write_settings(run.file("config.toml"), config)
    run.begun_settings.unlink(missing_ok=True)


def begin_settings(run: RunDir, config: Config) -> None:
    """Let these wait for a model, if it depends on them; the next training goes on with them."""
    path = run.file("config.toml")
    kept = read_config(path) if path.is_file() else config
    given = config.evaluate.model_dump(include=set(CHANGEABLE))
    if kept.changed(evaluate=given) == config:
        keep_settings(run, config)
    else:
        write_settings(run.begun_settings, config)


@contextmanager
def back_if_refused(run: RunDir) -> Iterator[None]:
    """Where the block is refused, as a training that diverges is, what it began with is not kept.

    What ends in another way, by a kill or on a full disk, goes on with the same settings.
    """
    begun = run.begun_settings
    before = begun.read_bytes() if begun.is_file() else None
    try:
        yield
    except CLLM4RecError:
        if is_main() and begun.is_file():
            if before is None:
                begun.unlink()
            else:
                with atomic_write(begun) as temporary:
                    temporary.write_bytes(before)
            if run.is_done("finetune"):
                progress.note(_kept(run, waiting=before is not None))
        raise


def _kept(run: RunDir, *, waiting: bool) -> str:
    if not waiting:
        return f"{run.path} keeps the model that it had, and its settings"
    return (
        f"{run.path} keeps the model that it had; the next training goes on with settings that "
        f"have begun before: change them by --set, or give --config {run.file('config.toml')} for "
        f"the model's"
    )
