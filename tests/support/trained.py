"""The toy runs of all suites. A test that needs other settings calls :func:`train_toy_run`.

==============  ==================================================================================
``planted``     400 users, 120 items; pretrained, finetuned and evaluated
``small``       120 users, 80 items, as :func:`train_toy_run` has it; for the export
``served``      the same users, with properties; 60 items with attributes; for the service
``page``        titles that are HTML or missing; see :mod:`support.page_run`
==============  ==================================================================================

Each is trained once in a session (:mod:`support.once`); a worker has a copy of its own.
"""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.sources.synthetic import PlantedWorld, write_planted_world
from cllm4rec.recommender.intact import seal_model
from cllm4rec.run import RunDir, read_json, write_json
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.once import made_once, own_copy
from support.page_run import make_page_run
from support.toy_run import toy_config


class Trained(NamedTuple):
    world: PlantedWorld
    source: Path
    run: RunDir
    config: Config


def planted_run(factory: pytest.TempPathFactory, backbone: Path) -> Trained:
    """The whole pipeline on the planted world."""
    config = toy_config(backbone)

    def make(folder: Path) -> None:
        write_planted_world(folder / "source")
        run = _train(folder, config)
        with progress.quiet():
            evaluate(run)

    folder = own_copy(factory, made_once(factory, "planted-run", make))
    world = write_planted_world(folder / "source")  # the same files once more
    return Trained(world, folder / "source", RunDir(folder / "run"), config)


def small_run(factory: pytest.TempPathFactory, backbone: Path) -> RunDir:
    """A run that answers with user tokens and without."""

    def make(folder: Path) -> None:
        train_toy_run(folder, backbone, "finetune.user_token_dropout=0.5")

    return RunDir(own_copy(factory, made_once(factory, "small-run", make)) / "run")


def served_run(factory: pytest.TempPathFactory, backbone: Path) -> RunDir:
    """Items have attributes to filter by, users have properties."""
    config = toy_config(backbone, "finetune.epochs=1", "finetune.user_token_dropout=0.5")

    def make(folder: Path) -> None:
        world = write_planted_world(folder / "source", users=120, items=60)
        _describe(folder / "source" / "items.parquet")
        _introduce(folder / "source" / "users.parquet", world.user_ids)
        _train(folder, config)

    return RunDir(own_copy(factory, made_once(factory, "served-run", make)) / "run")


def page_run(factory: pytest.TempPathFactory, backbone: Path) -> RunDir:
    """What the web page has to get right."""

    def make(folder: Path) -> None:
        make_page_run(folder, backbone)

    return RunDir(own_copy(factory, made_once(factory, "page-run", make)) / "run")


def train_toy_run(folder: Path, backbone: Path, *overrides: str) -> RunDir:
    """Prepare and train in ``folder/run``; ``overrides`` are settings."""
    write_planted_world(folder / "source", users=120, items=80, genres=4)
    config = toy_config(backbone, "finetune.epochs=1", "pretrain.enabled=false", *overrides)
    return _train(folder, config)


_FINISHED = ("files", "finished_at", "seconds")
"""What a run's manifest says of every stage by itself."""


def as_trained_on(run: RunDir, device: str) -> None:
    """Make a run what it would be had it come from a machine with another device."""
    record = read_json(run.file("model", "model.json"))
    record["config"]["device"] = device
    write_json(run.file("model", "model.json"), record)
    run.file("model", "sha256.json").unlink()
    seal_model(run.file("model"))
    done = {name: value for name, value in run.info("finetune").items() if name not in _FINISHED}
    run.finish("finetune", [run.file("model")], 0.0, **done)
    config = run.file("config.toml")
    config.write_text(config.read_text().replace('device = "cpu"', f'device = "{device}"'))


def _train(folder: Path, config: Config) -> RunDir:
    source, run = folder / "source", RunDir(folder / "run")
    with progress.quiet():
        prepare(source, run, split=source / "split.parquet", protocol="paper", config=config)
        train(run, config)
    return run


def _describe(path: Path) -> None:
    """Give the items attributes; a tale's ``kind`` stands in its text."""
    items = pq.read_table(path)
    numbers = range(len(items))
    items = items.append_column("genre", pa.array([f"genre {n % 3}|of {n % 2}" for n in numbers]))
    items = items.append_column("year", pa.array([1998 + n % 2 for n in numbers]))
    items = items.append_column("kind", pa.array(["tale"] * len(items)))
    pq.write_table(items, path)


def _introduce(path: Path, user_ids: list[str]) -> None:
    """Give the users properties."""
    numbers = range(len(user_ids))
    trades = pa.array(["artist" if n % 3 else "clerk" for n in numbers])
    ages = pa.array([18 + n % 60 for n in numbers])
    pq.write_table(pa.table({"user_id": user_ids, "trade": trades, "age": ages}), path)
