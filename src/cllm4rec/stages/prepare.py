"""prepare: check, number and split the input files; resolve every setting."""

import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.config import (
    Config,
    DataConfig,
    Given,
    Request,
    backbone_in_force,
    possible,
    read_config,
    refuse_unknown_baselines,
    request_of,
    resolve,
)
from cllm4rec.data import ingest
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.recipe import recipe
from cllm4rec.data.split_file import write_split
from cllm4rec.errors import CLLM4RecError, ConfigError, InputError, IntegrityError
from cllm4rec.run import (
    RunDir,
    atomic_folder,
    exclusive,
    flush,
    sha256_files,
)
from cllm4rec.stages.settings import begin_settings, keep_settings


@exclusive
def import_dataset(
    run: RunDir, dataset: Dataset, config: Given, *, replace: bool = False
) -> Config:
    """Copy a prepared dataset into the run, with the same result as ``prepare``.

    Args:
        run: receives the data.
        dataset: prepared.
        config: given settings.
        replace: whether a trained run may be given other data, whereby its model goes.

    Returns:
        The complete configuration, as written into the run; its ``data`` is the dataset's.

    Raises:
        ConfigError: a setting is wrong, or a ``[data]`` setting differs from the dataset's.
        InputError: the run is trained on other data and may not be given these.
        IntegrityError: the dataset's folder was replaced or removed since it was opened.
    """
    request = request_of(config)
    read = DataConfig.model_validate(dataset.settings)
    _refuse_other_data(
        request.changes.get("data", {}),
        possible(request),
        read,
        "the dataset was",
        "leave it out, or give Dataset.load a DataConfig with it",
    )
    # Values in force before any was given: the dataset's, in place of a preset's or another run's.
    if isinstance(request.start, Config):
        request = dataclasses.replace(request, start=request.start.changed(data=dataset.settings))
    if is_of(run, dataset):
        return configure(run, request)
    if run.is_done("finetune") and not replace:
        raise InputError(
            f"{run.path} has a model that was trained on other data; give another run, or "
            f"replace=True, whereby that model goes"
        )
    complete = _resolved(dataset, request).changed(data=dataset.settings)
    # Copied beside the old data, which survive a failure together with the trained model.
    with atomic_folder(run.file("data")) as folder:
        with dataset.texts.opened.reading() as source:
            shutil.copytree(source, folder, dirs_exist_ok=True)
        for copied in folder.iterdir():  # to the disk, which may be full
            flush(copied)
        _forget(run)
    write_split(dataset, run.file("split.parquet"))
    keep_settings(run, complete)
    run.finish("prepare", [run.file("data")], 0.0)
    return complete


def is_of(run: RunDir, dataset: Dataset) -> bool:
    """Whether a run has these data.

    Raises:
        IntegrityError: the dataset's folder was replaced or removed since it was opened.
    """
    with dataset.texts.opened.reading() as folder:
        found = sha256_files(folder, ".")
    files = {f"data/{name}": hashed for name, hashed in found.items()}
    return run.is_done("prepare") and run.info("prepare")["files"] == files


def configure(run: RunDir, config: Given = None, overrides: Sequence[str] = ()) -> Config:
    """The complete configuration for training a prepared run; reports the backbone in use.

    Args:
        run: must be prepared.
        config: given settings; None for those of a training that has begun, of the trained model
            or of ``prepare``, in this order.
        overrides: ``stage.key=value``, applied last.

    Raises:
        RunError: the run is not prepared.
        ConfigError: a setting is wrong, or a ``[data]`` setting differs from that of ``prepare``.
    """
    run.require("prepare")
    prepared = read_config(run.settings)
    request = request_of(prepared if config is None else config, overrides)
    complete = _resolved(Dataset.open(run.file("data")), request)
    given = request.start.data.model_dump() if isinstance(request.start, Config) else {}
    _refuse_other_data(
        {**given, **request.changes.get("data", {})},
        complete,
        prepared.data,
        f"the data of {run.path} were",
        "run `cllm4rec prepare` again with this setting",
    )
    return complete.model_copy(update={"data": prepared.data})


def _refuse_other_data(
    given: Mapping[str, Any], config: Config, used: DataConfig, whose: str, mend: str
) -> None:
    for name in given.keys() - {"memory_limit"}:
        wanted, was = getattr(config.data, name), getattr(used, name)
        if wanted != was:
            raise ConfigError(
                f"setting data.{name} = {wanted!r}: {whose} prepared with {was!r}; {mend}"
            )


def _resolved(dataset: Dataset, request: Request) -> Config:
    """The complete configuration for these data, with an absolute path to a local backbone."""
    config = resolve(
        request, newest_held_out=dataset.newest_held_out, new_items=dataset.new_items_held_out
    )
    refuse_unknown_baselines(config.evaluate)
    _refuse_baseline_settings(config)
    progress.note(backbone_in_force(config))
    if config.finetune.target == "next" and not dataset.ordered:
        progress.note(
            "finetune.target = next learns the order of each history, and the log has neither "
            "timestamps nor positions: it will be that of the files; give one of these, or take "
            "the preset auto"
        )
    folder = Path(config.backbone.name)
    return config.changed(backbone={"name": str(folder.resolve())}) if folder.is_dir() else config


def _refuse_baseline_settings(config: Config) -> None:
    """Refuse what a baseline does not take now, not in `evaluate`, after the training."""
    if config.evaluate.baseline_settings:
        from cllm4rec.baselines import baseline_named  # imports torch for some

        for name, given in config.evaluate.baseline_settings.items():
            baseline_named(name, given)


def prepare(
    data: Path,
    run: RunDir,
    *,
    split: Path | None,
    protocol: str,
    config: Given,
    replace: bool = False,
) -> dict[str, Any]:
    """Read, check and split the input, and resolve every setting for it.

    If the run was already prepared from the same files in the same way, its data and trained model
    stay, and what was said of the data is said again; the settings are those of the next training.

    Args:
        data: a log, or an input directory.
        run: receives the prepared data.
        split: split file; None to split by ``protocol``.
        protocol: name of the protocol.
        config: given settings; the run stores the complete configuration.
        replace: whether a trained run may be given other data, whereby its model goes.

    Returns:
        The report: rows kept, rows refused by reason, sizes of the parts.

    Raises:
        InputError: a file or column is missing or unreadable, no row is left, ``run`` is ``data``,
            or it is trained on other data and may not be given these.
    """
    if run.path.resolve() == data.resolve():
        raise InputError(f"--run {run.path} is the input folder; choose another, or a new one")
    with run.begun():
        return _prepare(data, run, split, protocol, config, replace)


@exclusive
def _prepare(
    data: Path, run: RunDir, split: Path | None, protocol: str, config: Given, replace: bool
) -> dict[str, Any]:
    started_at_s = time.perf_counter()
    request = request_of(config)
    reading = possible(request)  # reading does not depend on the preset that the data select
    ingest.refuse_input(data, run.file("data"))
    made_of: dict[str, Any] | None = None
    with suppress(OSError):  # `ingest` reports missing files
        made_of = recipe(
            data, split=split, protocol=protocol, config=reading.data, seed=reading.seed
        )
    kept = made_of is not None and _is_made_of(run, made_of)
    notes: list[str] = []
    if kept:
        progress.note(f"{run.path} was prepared from the same files: its data stay")
        for line in run.info("prepare").get("notes", []):  # earlier versions kept none
            progress.note(line)
    else:
        others = run.is_done("finetune") and run.info("prepare").get("recipe") != made_of
        if others and made_of is not None and not replace:
            raise InputError(
                f"{run.path} has a model that was trained on other data, or on these read in "
                f"another way; give another --run, or --replace, whereby that model goes"
            )
        # Written beside the old data, which survive a failure together with the trained model.
        fresh = run.file(".data")
        with progress.kept_notes() as notes:
            ingest.prepare(
                data, fresh, split=split, protocol=protocol, config=reading.data, seed=reading.seed
            )
        try:  # settings that do not fit these data cost nobody a model
            complete = _resolved(Dataset.open(fresh), request)
        except CLLM4RecError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _forget(run)
        shutil.rmtree(run.file("data"), ignore_errors=True)
        fresh.rename(run.file("data"))
    dataset = Dataset.open(run.file("data"))
    write_split(dataset, run.file("split.parquet"))
    if kept:
        complete = _resolved(dataset, request)
    if kept and run.is_done("finetune"):
        begin_settings(run, complete)
    else:
        keep_settings(run, complete)
    if not kept:
        seconds = time.perf_counter() - started_at_s
        run.finish("prepare", [run.file("data")], seconds, recipe=made_of, notes=notes)
    return {**dataset.report(), "split_file": str(run.file("split.parquet"))}


def _forget(run: RunDir) -> None:
    if run.is_done("finetune"):
        progress.note(f"{run.path} gets other data: its trained model goes; train again")
    if any(run.file("checkpoints", stage).is_dir() for stage in ("pretrain", "finetune")):
        progress.note(f"{run.path} gets other data: its unfinished training cannot go on")
    run.forget("prepare", "initialise", "pretrain", "finetune", "evaluate")
    for name in ("results.json", "report.html"):  # of another model
        run.file(name).unlink(missing_ok=True)
    shutil.rmtree(run.file("topk"), ignore_errors=True)


def _is_made_of(run: RunDir, recipe: dict[str, Any]) -> bool:
    """Whether the run has intact data of this recipe."""
    if not run.is_done("prepare") or run.info("prepare").get("recipe") != recipe:
        return False
    try:
        run.require("prepare")
    except IntegrityError:
        return False
    return True
