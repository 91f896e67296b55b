"""prepare: input files → numbered, split, checked data in the run."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.config import Config, for_data, to_toml
from cllm4rec.data import ingest
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.recipe import recipe
from cllm4rec.data.split_file import write_split
from cllm4rec.errors import IntegrityError
from cllm4rec.rundir import RunDir, atomic_folder, atomic_write, sha256_files


def adopt(run: RunDir, dataset: Dataset, config: Config) -> None:
    """Make a prepared dataset the run's own, as ``prepare`` would have left it."""
    files = {f"data/{name}": hashed for name, hashed in sha256_files(dataset.folder, ".").items()}
    if run.is_done("prepare") and run.info("prepare")["files"] == files:
        return
    run.forget("prepare", "pretrain", "finetune", "evaluate")
    with atomic_folder(run.file("data")) as folder:
        shutil.copytree(dataset.folder, folder, dirs_exist_ok=True)
    write_split(dataset, run.file("split.parquet"))
    _decide(run, dataset, config)
    run.finish("prepare", [run.file("data")], 0.0)


def settle(run: RunDir, config: Config) -> tuple[Dataset, Config]:
    """Open the run's data, decide every ``auto`` of the settings by them, and keep the settings.

    Raises:
        RunError: the run is not prepared.
    """
    run.require("prepare")
    dataset = Dataset.open(run.file("data"))
    return dataset, _decide(run, dataset, config)


def _decide(run: RunDir, dataset: Dataset, config: Config) -> Config:
    """The settings without an ``auto``, kept beside what they will make."""
    config = for_data(config, newest_held_out=dataset.newest_held_out)
    with atomic_write(run.file("config.toml")) as path:
        path.write_text(to_toml(config), encoding="utf-8")
    return config


def prepare(
    data: Path, run: RunDir, *, split: Path | None, protocol: str, config: Config
) -> dict[str, Any]:
    """Read, check and split the input directory.

    Where the run was prepared from the same files in the same way, its data stay, and so does what
    was trained on them; only the settings are written anew.

    Returns:
        The report: rows kept, rows refused by reason, sizes of the parts.

    Raises:
        InputError: a file or column is missing or unreadable, or nothing is left.
    """
    started_at_s = time.perf_counter()
    run.create()
    made_of: dict[str, Any] | None = None
    with suppress(OSError):  # what is missing is for `ingest` to say
        made_of = recipe(data, split=split, protocol=protocol, config=config.data, seed=config.seed)
    kept = made_of is not None and _is_made_of(run, made_of)
    if kept:
        progress.note(f"{run.path} was prepared from the same files: its data stay")
    else:
        run.forget("prepare", "pretrain", "finetune", "evaluate")
        ingest.prepare(
            data,
            run.file("data"),
            split=split,
            protocol=protocol,
            config=config.data,
            seed=config.seed,
        )
    dataset = Dataset.open(run.file("data"))
    write_split(dataset, run.file("split.parquet"))
    _decide(run, dataset, config)
    if not kept:
        seconds = time.perf_counter() - started_at_s
        run.finish("prepare", [run.file("data")], seconds, recipe=made_of)
    return {**dataset.report(), "split_file": str(run.file("split.parquet"))}


def _is_made_of(run: RunDir, recipe: dict[str, Any]) -> bool:
    """Whether the run has data of this recipe, and they are what was written."""
    if not run.is_done("prepare") or run.info("prepare").get("recipe") != recipe:
        return False
    try:
        run.require("prepare")
    except IntegrityError:
        return False
    return True
