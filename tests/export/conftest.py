"""A toy run and its export, made once."""

from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.export import export_run
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from support.tiny_backbone import write_tiny_llama
from support.trained import train_toy_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> RunDir:
    folder = tmp_path_factory.mktemp("exported")
    return train_toy_run(folder, write_tiny_llama(folder / "backbone"))


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
