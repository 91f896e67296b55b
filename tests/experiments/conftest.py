"""The planted world as a bench's data."""

import pytest

from cllm4rec.experiments.data import PreparedData
from support.planted import planted

__all__ = ["planted"]


@pytest.fixture(scope="session")
def data(planted) -> PreparedData:
    return PreparedData("world", planted.dataset.folder, "0" * 64, planted.dataset, "split file")
