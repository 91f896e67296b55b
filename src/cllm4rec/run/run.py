"""RunDir: which stages of a run are done, with what files, and its log of metrics."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cllm4rec.errors import InputError, IntegrityError, RunError
from cllm4rec.run.files import (
    atomic_write,
    files_of,
    make_folder,
    read_json,
    sha256_file,
    write_json,
)
from cllm4rec.run.leftovers import clear_leftovers
from cllm4rec.run.places import refuse_inside_run
from cllm4rec.run.seal import is_sealed

FORMAT = 2
"""Number of the manifest's format; another number is refused, never guessed at."""

REPLACED = (
    "data",
    "corpus",
    "checkpoints",
    "initial",
    "pretrained",
    "model",
    "topk",
    "config.toml",
)
"""What stages write under these names replaces what is there."""

_WRITTEN_IN = ("", "checkpoints", "pretrained", "topk", "source")
"""Folders of a run in which stages write by renaming; a service at work has folders of its own."""

_COMMANDS = {
    "prepare": "cllm4rec prepare --data DATA --run {run}",
    "initialise": "cllm4rec initialise --run {run}",
    "pretrain": "cllm4rec pretrain --run {run}",
    "finetune": "cllm4rec finetune --run {run}",
    "evaluate": "cllm4rec evaluate --run {run}",
}


class RunDir:
    """A run directory; cheap to make, touches nothing until asked to.

    Args:
        path: the folder given by ``--run``; need not exist yet.

    Raises:
        InputError: the path is empty, which would be the current folder.
    """

    def __init__(self, path: str | Path) -> None:
        if not str(path):
            raise InputError("--run is empty; give the folder of a run")
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    def create(self) -> "RunDir":
        """Make the folder where it is absent.

        Raises:
            InputError: the path is a file, or lies under one, or inside another run, or cannot be
                made; or the folder is no run and has something in it that a run would replace.
            RunError: the folder is a run of another format.
        """
        refuse_inside_run(self.path.resolve().parent, "--run")
        try:
            make_folder(self.path)
        except (FileExistsError, NotADirectoryError):
            raise InputError(f"--run {self.path} is not a folder; choose another path") from None
        manifest = self.file("manifest.json")
        if not manifest.is_file():
            self._refuse_what_is_not_ours()
            write_json(manifest, self._manifest())
        self._manifest()
        return self

    def _refuse_what_is_not_ours(self) -> None:
        if is_sealed(self.path):
            raise InputError(
                f"--run {self.path} is a saved model, not a run; choose another folder"
            )
        for name in REPLACED:
            if self.file(name).exists():
                raise InputError(
                    f"--run {self.path} is no run, and a run would replace its {name}; "
                    f"choose another folder"
                )

    def file(self, *parts: str) -> Path:
        """The path of a file of this run, whether it exists or not."""
        return self.path.joinpath(*parts)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run against other processes until the block ends; may be nested.

        Leftovers of killed stages are removed first. The lock ends with the process.

        Raises:
            RunError: another process holds the lock.
            InputError: ``.lock`` cannot be locked.
        """
        if not self.file("manifest.json").is_file():  # no run yet: what is missing, the stage says
            yield
            return
        lock = FileLock(self.file(".lock"), timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"another process is at work in {self.path}; wait for its end, or give another "
                f"--run"
            ) from None
        except OSError as error:
            if isinstance(error, PermissionError):
                raise
            raise InputError(
                f"{self.file('.lock')} cannot be locked ({error.strerror}); remove it"
            ) from None
        try:
            if lock.lock_counter == 1:
                for name in _WRITTEN_IN:
                    clear_leftovers(self.file(name))
            yield
        finally:
            lock.release()

    def finish(self, stage: str, files: Sequence[Path], seconds: float, **info: Any) -> None:
        """Record that a stage is done.

        Args:
            stage: name of the stage, e.g. ``"prepare"``.
            files: what the stage left, all inside the run; a folder stands for every file in it.
            seconds: how long the stage took.
            info: further facts, given back by :meth:`info`; JSON values.
        """
        hashes = {
            found.relative_to(self.path).as_posix(): sha256_file(found)
            for given in files
            for found in files_of(given)
        }
        manifest = self._manifest()
        manifest["package_version"] = package_version()
        manifest["stages"][stage] = {
            **info,
            "files": hashes,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
        }
        write_json(self.file("manifest.json"), manifest)

    def is_done(self, stage: str) -> bool:
        """Whether the manifest says that the stage is done."""
        return stage in self._manifest()["stages"]

    def info(self, stage: str) -> dict[str, Any]:
        """What :meth:`finish` recorded about a stage.

        Raises:
            RunError: the stage is not done.
        """
        stages = self._manifest()["stages"]
        if stage not in stages and is_sealed(self.path):
            raise RunError(
                f"{self.path} is a saved model, which recommends and serves; for `{stage}` give "
                f"--run the run that it came from"
            )
        if stage not in stages:
            command = _COMMANDS.get(stage, "cllm4rec " + stage + " --run {run}")
            raise RunError(
                f"{self.path} has no finished stage `{stage}`; "
                f"run `{command.format(run=self.path)}` first"
            )
        record: dict[str, Any] = stages[stage]
        return record

    def require(self, stage: str) -> None:
        """Refuse to go on unless the stage is done and its files are what they were.

        Raises:
            RunError: the stage is not done; the message names the command to run.
            IntegrityError: a file is missing or changed; the message names the file.
        """
        for name, recorded in self.info(stage)["files"].items():
            path = self.file(name)
            if not path.is_file():
                raise IntegrityError(f"{path} is missing; run the stage `{stage}` again")
            if sha256_file(path) != recorded:
                raise IntegrityError(
                    f"{path} is not what `{stage}` wrote (its sha256 differs from manifest.json); "
                    f"run that stage again"
                )

    def forget(self, *stages: str) -> None:
        """Drop the records of these stages, and their lines of ``metrics.jsonl``.

        To be called when an earlier stage is done anew, or a stage starts from nothing; not when it
        resumes, or the lines before the interruption are lost.
        """
        manifest = self._manifest()
        if any([manifest["stages"].pop(stage, None) is not None for stage in stages]):
            write_json(self.file("manifest.json"), manifest)
        rows = self.metrics()
        kept = [row for row in rows if row.get("stage") not in stages]
        if len(kept) < len(rows):
            with atomic_write(self.file("metrics.jsonl")) as temporary:
                temporary.write_text("".join(map(_json_line, kept)), encoding="utf-8")

    def log_metrics(self, **row: Any) -> None:
        """Append one line to ``metrics.jsonl``.

        Raises:
            ValueError: a number is not finite, here or inside a nested dictionary.
        """
        _refuse_non_finite(row)
        with self.file("metrics.jsonl").open("ab+") as log:
            # A killed process may have left half a line; it must not swallow this one.
            if log.seek(0, os.SEEK_END) and log.seek(-1, os.SEEK_END) >= 0 and log.read(1) != b"\n":
                log.write(b"\n")
            log.write(_json_line(row).encode())
            log.flush()

    def log_size(self) -> int:
        """Bytes of ``metrics.jsonl``, for :meth:`cut_log`; none where there is no such file."""
        path = self.file("metrics.jsonl")
        return path.stat().st_size if path.is_file() else 0

    def cut_log(self, size: int) -> None:
        """Take back what was logged after a checkpoint: from there it is done, and logged, again.

        Args:
            size: of the log when the checkpoint was written; a shorter log stays as it is.
        """
        if size < self.log_size():
            os.truncate(self.file("metrics.jsonl"), size)

    def metrics(self) -> list[dict[str, Any]]:
        """All whole lines of ``metrics.jsonl``, oldest first; none where there is no such file."""
        path = self.file("metrics.jsonl")
        rows: list[dict[str, Any]] = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(json.JSONDecodeError):
                    row = json.loads(line)
                    if isinstance(row, dict):
                        rows.append(row)
        return rows

    def _manifest(self) -> dict[str, Any]:
        path = self.file("manifest.json")
        if not path.is_file():
            return {"format": FORMAT, "package_version": package_version(), "stages": {}}
        manifest = read_json(path)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            found = manifest.get("format") if isinstance(manifest, dict) else None
            raise RunError(
                f"{path} has format {found!r}, this version reads {FORMAT}: it was made by another "
                f"version; run `cllm4rec prepare` again, with another --run"
            )
        if not isinstance(manifest.get("stages"), dict):
            raise IntegrityError(f"{path} has no table of stages; choose another --run")
        return manifest


def package_version() -> str:
    """Of the installed package."""
    try:
        return version("cllm4rec")
    except PackageNotFoundError:
        return "not installed"


def _json_line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n"


def _refuse_non_finite(row: dict[str, Any], place: str = "") -> None:
    for key, value in row.items():
        if isinstance(value, dict):
            _refuse_non_finite(value, f"{place}{key}.")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"metric {place}{key} is {value}: only finite numbers are logged")
