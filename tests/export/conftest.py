"""A toy run and its export."""

from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.export import export_run
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from support.trained import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory, backbone: Path) -> RunDir:
    return small_run(tmp_path_factory, backbone)


@pytest.fixture(scope="session")
def recommender(run) -> Recommender:
    with progress.quiet():
        return Recommender.load(run.path)


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("export") / "vectors"
    with progress.quiet():
        export_run(run, to, k=10)
    return to
