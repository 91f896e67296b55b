"""A toy run, served in process once for all tests that only ask."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cllm4rec import progress
from cllm4rec.service import ModelHolder, ServiceSettings, create_app
from support.trained import served_run


@pytest.fixture(scope="session")
def run(tmp_path_factory, backbone: Path) -> Path:
    return served_run(tmp_path_factory, backbone).path


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


@pytest.fixture
def own_run(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def own(own_run, tmp_path):
    """A client of a service on a run of its own."""
    settings = ServiceSettings(run=own_run, feedback=tmp_path / "feedback", max_wait_ms=60_000)
    holder = ModelHolder(own_run)
    with progress.quiet():
        holder.load()
        with TestClient(create_app(settings, holder)) as client:
            yield client
