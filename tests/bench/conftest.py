"""The planted world as a bench's data."""

from pathlib import Path

import pytest

from cllm4rec.experiments.data import PreparedData
from support.planted import planted
from support.tiny_backbone import write_tiny_llama

__all__ = ["planted"]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("backbone"), layers=2)


@pytest.fixture(scope="session")
def data(planted) -> PreparedData:
    return PreparedData("world", planted.dataset.folder, "0" * 64, planted.dataset, "split file")
