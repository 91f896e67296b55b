"""RunDir: finished stages of a run, their files, and the metrics log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cllm4rec import progress
from cllm4rec.errors import InputError, IntegrityError, RunError, is_forbidden, no_space_left
from cllm4rec.run.files import (
    files_of,
    make_folder,
    read_json,
    sha256_file,
    write_json,
)
from cllm4rec.run.leftovers import clear_leftovers, folders_gone_at_failure, gone_at_failure
from cllm4rec.run.log import LOGGED, MetricsLog
from cllm4rec.run.manifest import Record, package_version, read_manifest
from cllm4rec.run.places import refuse_inside_run, run_around
from cllm4rec.run.processes import is_alone, is_main, place_among_processes
from cllm4rec.run.seal import is_sealed

REPLACED = (
    "data",
    "corpus",
    "checkpoints",
    "initial",
    "pretrained",
    "model",
    "topk",
    "words",
    "source",
    ".data",
    "config.toml",
    "split.parquet",
    "metrics.jsonl",
    "results.json",
    "report.html",
)
"""Names that stages overwrite."""

_WRITTEN_IN = ("", "checkpoints", "pretrained", "topk", "source")
"""Folders in which stages write atomically; a running service uses other folders."""

_COMMANDS = {
    "prepare": "cllm4rec prepare --data DATA --run {run}",
    "initialise": "cllm4rec initialise --run {run}",
    "pretrain": "cllm4rec pretrain --run {run}",
    "finetune": "cllm4rec finetune --run {run}",
    "evaluate": "cllm4rec evaluate --run {run}",
}


class RunDir(MetricsLog):
    """A run directory; creating the object touches no files.

    Args:
        path: given by ``--run``; need not exist yet.

    Raises:
        InputError: the path is empty, which would mean the current folder.
    """

    def __init__(self, path: str | Path) -> None:
        if not str(path):
            raise InputError("--run is empty; give the folder of a run")
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    def create(self, option: str = "--run") -> "RunDir":
        """Create the folder if needed.

        Args:
            option: that gave it, for errors.

        Raises:
            InputError: the path is a file, is below one, is inside another run or cannot be
                created; or the folder is not a run and contains files that a run would overwrite.
            RunError: the folder is a run of another format.
        """
        with self.begun(option):
            return self

    @contextmanager
    def begun(self, option: str = "--run") -> Iterator[None]:
        """Create the folder if needed, and lock it; where the block fails, what was begun is gone.

        Raises:
            InputError, RunError: as of :meth:`create` and :meth:`lock`.
        """
        with folders_gone_at_failure(self.path):
            self.refuse_place(option)
            make_folder(self.path, option)
            manifest = self.file("manifest.json")
            # Another process may be making the run, or may have made it meanwhile.
            with self.lock(new=True), gone_at_failure(self.path):
                if not manifest.is_file():
                    write_json(manifest, self._manifest())
                yield

    def refuse_place(self, option: str) -> None:
        """Refuse a folder that can be no run; nothing is made there.

        Raises:
            InputError, RunError: as of :meth:`create`.
        """
        if run_around(self.path.resolve().parent) is not None:
            refuse_inside_run(self.path, option)
        if self.file("manifest.json").is_file():
            self._manifest()
            return
        if is_sealed(self.path):
            raise InputError(
                f"{option} {self.path} is a saved model, not a run; choose another folder"
            )
        for name in REPLACED:
            if self.file(name).exists():
                raise InputError(
                    f"{option} {self.path} is no run, and a run would replace its {name}; "
                    f"choose another folder"
                )

    def file(self, *parts: str) -> Path:
        """The path of a file of this run, existing or not."""
        return self.path.joinpath(*parts)

    @property
    def begun_settings(self) -> Path:
        """Settings of a training that has begun, if they are not those of ``config.toml``."""
        return self.file("checkpoints", "config.toml")

    @property
    def settings(self) -> Path:
        """The file of settings that the next training goes on with."""
        begun = self.begun_settings
        return begun if begun.is_file() else self.file("config.toml")

    @contextmanager
    def lock(self, *, new: bool = False) -> Iterator[None]:
        """Lock the run against other processes until the block ends; may be nested.

        Leftovers of killed stages are removed first. The lock ends with the process.

        Args:
            new: whether the folder, which must exist, is to become a run.

        Raises:
            RunError: another process holds the lock.
            InputError: ``.lock`` cannot be locked.
            OSError: the run cannot be written, or the disk is full.
        """
        is_run = self.file("manifest.json").is_file() or is_sealed(self.path)
        if not (is_run or new) or not is_main():  # no run yet, or locked by the main process
            yield
            return
        lock = FileLock(self.file(".lock"), timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout:
            mend = "wait for its end, or give another --run"
            if is_alone() and place_among_processes()[1] > 1:
                mend = "of several this command wants one: start it without torchrun"
            raise RunError(f"another process is at work in {self.path}; {mend}") from None
        except OSError as error:
            if is_forbidden(error) or no_space_left(error):
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
            stage: name, e.g. ``"prepare"``.
            files: written by the stage, all inside the run; a folder stands for all its files.
            seconds: duration.
            info: further facts for :meth:`info`; JSON values.
        """
        hashes = {
            found.relative_to(self.path).as_posix(): sha256_file(found)
            for given in files
            for found in files_of(given)
        }
        if stage == "finetune":
            self.end_log()
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

    def info(self, stage: str) -> Record:
        """The record of a stage, written by :meth:`finish`.

        Raises:
            RunError: the stage is not done.
            IntegrityError: the manifest was edited; so everywhere here.
        """
        stages = self._manifest()["stages"]
        if stage not in stages and is_sealed(self.path):
            raise RunError(
                f"{self.path} is a saved model, which recommends and serves; for what else a run "
                f"does, give --run the run that it came from"
            )
        if stage not in stages:
            command = _COMMANDS.get(stage, "cllm4rec " + stage + " --run {run}")
            raise RunError(
                f"{self.path} has no finished stage `{stage}`; "
                f"run `{command.format(run=self.path)}` first"
            )
        record: Record = stages[stage]
        return record

    def require_trained(self) -> None:
        """Require a finetuned run, or a folder written by ``CLLM4Rec.save``.

        Raises:
            RunError: neither.
        """
        # A saved folder has no stages; loading verifies the files.
        if not self.path.is_dir():
            raise RunError(f"there is no folder {self.path}; give that of a trained run")
        around = run_around(self.path)
        if around is not None and around != self.path.resolve():
            raise RunError(f"{self.path} lies in the run {around}; give --run {around}")
        if not is_sealed(self.path) and not self.is_done("finetune"):
            raise RunError(
                f"no trained model in {self.path}; run `cllm4rec train --run {self.path}` first"
            )

    def has_result(self, stage: str, identity: str) -> bool:
        """Whether the stage is done with this identity, and its files are intact.

        A damaged result is said in a note and counts as none: the stage is run again.
        """
        if not self.is_done(stage) or self.info(stage).get("identity") != identity:
            return False
        try:
            self.require(stage)
        except IntegrityError as error:
            progress.note(f"{error}: running it now")
            return False
        return True

    def result(self, stage: str, identity: str) -> dict[str, Any] | None:
        """The record of a stage that :meth:`has_result`, with a note; None without."""
        if not self.has_result(stage, identity):
            return None
        progress.note(f"{stage} was done with these settings before, and is not done again")
        return dict(self.info(stage))

    def require(self, stage: str) -> None:
        """Require that the stage is done and its files are unchanged.

        Raises:
            RunError: the stage is not done; names the command to run.
            IntegrityError: a file is missing or has changed; names it.
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
        """Drop the records of these stages, and their lines of the log (:meth:`begin_log`).

        Call it before files of theirs are replaced; not when a stage resumes, or the log before the
        interruption is lost. Only the main process does it.
        """
        if not is_main():
            return
        manifest = self._manifest()
        if any([manifest["stages"].pop(stage, None) is not None for stage in stages]):
            write_json(self.file("manifest.json"), manifest)
        if begun := [stage for stage in stages if stage in LOGGED]:
            self.begin_log(*begun)

    def results(self) -> dict[str, Any] | None:
        """The table of `evaluate` for the model as it is, if there is one.

        Raises:
            IntegrityError: a JSON file of the run is damaged.
        """
        path = self.file("results.json")
        is_run = self.file("manifest.json").is_file()
        if not path.is_file() or (is_run and not self.is_done("evaluate")):
            return None  # or of an earlier training
        results: dict[str, Any] = read_json(path)
        return results

    def _manifest(self) -> dict[str, Any]:
        return read_manifest(self.file("manifest.json"))
