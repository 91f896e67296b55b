"""A toy run and its export, made once in a session: each ONNX model takes some ten seconds."""

from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.export import export_run
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from support.once import made_once
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
    """All that can be exported, the eight-bit model too; to be read only."""

    def make(folder: Path) -> None:
        with progress.quiet():
            export_run(run, folder / "vectors", k=10, int8=True)

    return made_once(tmp_path_factory, "exported", make) / "vectors"
