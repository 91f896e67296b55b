"""prepare: input files → numbered, split, checked data in the run."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.config import Config, for_data, load_config, to_toml
from cllm4rec.data import ingest
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.recipe import recipe
from cllm4rec.data.split_file import write_split
from cllm4rec.errors import ConfigError, IntegrityError
from cllm4rec.run import RunDir, alone, atomic_folder, atomic_write, sha256_files


@alone
def adopt(run: RunDir, dataset: Dataset, config: Config) -> None:
    """Make a prepared dataset the run's own, as ``prepare`` would have left it."""
    files = {f"data/{name}": hashed for name, hashed in sha256_files(dataset.folder, ".").items()}
    if run.is_done("prepare") and run.info("prepare")["files"] == files:
        return
    run.forget("prepare", "pretrain", "finetune", "evaluate")
    with atomic_folder(run.file("data")) as folder:
        shutil.copytree(dataset.folder, folder, dirs_exist_ok=True)
    write_split(dataset, run.file("split.parquet"))
    keep_settings(run, _decided(dataset, config))
    run.finish("prepare", [run.file("data")], 0.0)


def settle(run: RunDir, config: Config) -> tuple[Dataset, Config]:
    """Open the run's data and decide by them what was not given.

    Raises:
        RunError: the run is not prepared.
        ConfigError: a setting of ``[data]`` is another than the data were prepared with.
    """
    run.require("prepare")
    dataset = Dataset.open(run.file("data"))
    kept = run.file("config.toml")
    if kept.is_file():
        prepared = load_config(kept).data
        given = config.data.model_dump(exclude_unset=True, exclude={"memory_limit"})
        for name, value in given.items():
            if value != getattr(prepared, name):
                raise ConfigError(
                    f"setting data.{name} = {value!r}: the data of {run.path} were prepared with "
                    f"{getattr(prepared, name)!r}; run `cllm4rec prepare` again with this setting"
                )
        config = config.model_copy(update={"data": prepared})
    return dataset, _decided(dataset, config)


def keep_settings(run: RunDir, config: Config) -> None:
    """Write the settings beside what they will make."""
    with atomic_write(run.file("config.toml")) as path:
        path.write_text(to_toml(config), encoding="utf-8")


def _decided(dataset: Dataset, config: Config) -> Config:
    """The settings as `for_data` decides them; a backbone's folder is found from anywhere."""
    config = for_data(config, newest_held_out=dataset.newest_held_out)
    folder = Path(config.backbone.name)
    if not folder.is_dir():
        return config
    backbone = config.backbone.model_copy(update={"name": str(folder.resolve())})
    return config.model_copy(update={"backbone": backbone})


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
    run.create()
    return _prepare(data, run, split=split, protocol=protocol, config=config)


@alone
def _prepare(
    data: Path, run: RunDir, *, split: Path | None, protocol: str, config: Config
) -> dict[str, Any]:
    started_at_s = time.perf_counter()
    ingest.refuse_input(data, run.file("data"))
    made_of: dict[str, Any] | None = None
    with suppress(OSError):  # what is missing is for `ingest` to say
        made_of = recipe(data, split=split, protocol=protocol, config=config.data, seed=config.seed)
    kept = made_of is not None and _is_made_of(run, made_of)
    if kept:
        progress.note(f"{run.path} was prepared from the same files: its data stay")
    else:
        # Beside the old data, which stay with what was trained on them if the new cannot be had.
        fresh = run.file(".data")
        ingest.prepare(
            data, fresh, split=split, protocol=protocol, config=config.data, seed=config.seed
        )
        run.forget("prepare", "pretrain", "finetune", "evaluate")
        shutil.rmtree(run.file("data"), ignore_errors=True)
        fresh.rename(run.file("data"))
    dataset = Dataset.open(run.file("data"))
    write_split(dataset, run.file("split.parquet"))
    keep_settings(run, _decided(dataset, config))
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
