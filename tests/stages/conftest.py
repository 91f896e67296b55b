"""A planted world, prepared and trained once with a toy backbone, for all stage tests."""

from pathlib import Path
from typing import NamedTuple

import pytest

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.sources.synthetic import PlantedWorld, write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_config


class Trained(NamedTuple):
    world: PlantedWorld
    source: Path
    run: RunDir
    config: Config


@pytest.fixture(scope="session")
def backbone(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("backbone"), layers=2)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, backbone) -> Trained:
    folder = tmp_path_factory.mktemp("planted")
    world = write_planted_world(folder / "source")
    config = toy_config(backbone)
    run = RunDir(folder / "run")
    with progress.quiet():
        prepare(
            folder / "source",
            run,
            split=folder / "source" / "split.parquet",
            protocol="paper",
            config=config,
        )
        train(run, config)
        evaluate(run)
    return Trained(world, folder / "source", run, config)
