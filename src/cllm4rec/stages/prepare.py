"""prepare: input files → numbered, split, checked data in the run."""

import shutil
import time
from pathlib import Path
from typing import Any

from cllm4rec.config import Config, for_data, to_toml
from cllm4rec.data import ingest
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.split_file import write_split
from cllm4rec.rundir import RunDir, atomic_folder, atomic_write, sha256_file


def adopt(run: RunDir, dataset: Dataset, config: Config) -> None:
    """Make a prepared dataset the run's own, as ``prepare`` would have left it."""
    report = dataset.folder / "report.json"
    if run.is_done("prepare") and sha256_file(report) == sha256_file(run.file("data/report.json")):
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

    Returns:
        The report: rows kept, rows refused by reason, sizes of the parts.

    Raises:
        InputError: a file or column is missing or unreadable, or nothing is left.
    """
    started_at_s = time.perf_counter()
    run.create()
    run.forget("prepare", "pretrain", "finetune", "evaluate")
    report = ingest.prepare(
        data, run.file("data"), split=split, protocol=protocol, config=config.data, seed=config.seed
    )
    dataset = Dataset.open(run.file("data"))
    write_split(dataset, run.file("split.parquet"))
    _decide(run, dataset, config)
    run.finish("prepare", [run.file("data")], time.perf_counter() - started_at_s)
    return {**report, "split_file": str(run.file("split.parquet"))}
