"""A toy run, served in process once for all tests that only ask."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from cllm4rec import progress
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.service import ModelHolder, ServiceSettings, create_app
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_config


def describe(path: Path) -> None:
    """Give the items attributes; a tale's ``kind`` stands in its text."""
    items = pq.read_table(path)
    numbers = range(len(items))
    items = items.append_column("genre", pa.array([f"genre {n % 3}|of {n % 2}" for n in numbers]))
    items = items.append_column("year", pa.array([1998 + n % 2 for n in numbers]))
    items = items.append_column("kind", pa.array(["tale"] * len(items)))
    pq.write_table(items, path)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_planted_world(folder / "source", users=120, items=60)
    describe(folder / "source" / "items.parquet")
    backbone = write_tiny_llama(folder / "backbone", layers=2)
    config = toy_config(backbone, "finetune.epochs=1", "finetune.user_token_dropout=0.5")
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
    return run.path


@pytest.fixture(scope="session")
def holder(run) -> ModelHolder:
    holder = ModelHolder(run)
    with progress.quiet():
        holder.load()
    return holder


@pytest.fixture(scope="session")
def client(run, holder, tmp_path_factory) -> Iterator[TestClient]:
    settings = ServiceSettings(
        run=run, feedback=tmp_path_factory.mktemp("feedback"), max_wait_ms=60_000
    )
    with TestClient(create_app(settings, holder)) as client:
        yield client
