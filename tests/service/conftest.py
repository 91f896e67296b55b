"""A toy run, served in process once for all tests that only ask."""

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
