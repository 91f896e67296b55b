"""refit: train once more on what was held out, with everything as validation chose it."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cllm4rec.config import read_config
from cllm4rec.data.checks import PARTS
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.merged import with_held_out
from cllm4rec.data.split_file import write_split
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.recommender.added import AddedItems
from cllm4rec.run import RunDir, atomic_folder, exclusive, read_json, write_json
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.made_from import is_made_from, made_from
from cllm4rec.stages.settings import keep_settings
from cllm4rec.stages.train import train
from cllm4rec.training.world import here


def refit(
    run: RunDir, to: RunDir, *, keep_test: bool = False, named: str = "--to"
) -> dict[str, Any]:
    """Train a new run on a trained one's held-out interactions too.

    Nothing is chosen there: the initial vectors, the linear model, the number of epochs and the
    blend weight have the settings that validation chose in ``run``. Without ``keep_test`` nothing
    is held out, and so nothing can be measured: `run` says how good it is. An interrupted call goes
    on where it stopped.

    Args:
        run: trained; unchanged.
        to: the new run.
        keep_test: train on training and validation part, and keep the test part for `evaluate`,
            with the histories (part ``history``) of the users in it.
        named: what the caller calls ``to``, for errors.

    Returns:
        The result of `cllm4rec.stages.train.train`.

    Raises:
        RunError: ``run`` is not trained.
        InputError: ``run`` was made by `refit`, or ``to`` is another run.
    """
    here().of_main(lambda: _prepare(run, to, keep_test, named))
    return train(to, read_config(to.settings))


@exclusive
def _prepare(run: RunDir, to: RunDir, keep_test: bool, named: str) -> None:
    """Copy the data, with what was held out among the training interactions."""
    started_at_s = time.perf_counter()
    if Chosen.before(run) is not None:
        raise InputError(f"{run.path} was itself made by refit; give the run that it was made from")
    chosen = Chosen.by(run)
    for stage in ("prepare", "finetune"):
        run.require(stage)
    to.create(named)
    if is_made_from(to, run, keep_test=keep_test, named=named):
        return
    with atomic_folder(to.file("data")) as folder:
        merge(run.file("data"), folder, chosen, keep_test=keep_test)
    write_split(Dataset.open(to.file("data")), to.file("split.parquet"))
    keep_settings(to, read_config(run.file("config.toml")))
    with suppress(IntegrityError):  # what is damaged is not taken along either
        AddedItems.note_left(run.path, to.path)
    seconds, source = time.perf_counter() - started_at_s, made_from(run, keep_test=keep_test)
    to.finish("prepare", [to.file("data")], seconds, refit=source)


def merge(data: Path, folder: Path, chosen: Chosen, *, keep_test: bool) -> Dataset:
    """Prepared data once more, `with_held_out`.

    Args:
        data: prepared files.
        folder: receives theirs; must exist.
        chosen: what a training on ``data`` chose, for one on ``folder``.
        keep_test: whether the test part stays.
    """
    dataset = Dataset.open(data)
    codes = with_held_out(dataset, keep_test=keep_test).part_codes
    shutil.copytree(data, folder, dirs_exist_ok=True)
    np.save(folder / "parts.npy", codes)
    report = read_json(folder / "report.json")
    counts = np.bincount(codes, minlength=len(PARTS)).tolist()
    report["kept"] |= dict(zip(PARTS, counts, strict=True))
    # Whether the newest were asked for cannot be seen any more where nothing is held out.
    report["newest_held_out"] = dataset.newest_held_out
    write_json(folder / "report.json", report)
    chosen.write(folder)
    return Dataset.open(folder)
