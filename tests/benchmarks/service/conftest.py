"""A toy run to serve."""

from pathlib import Path

import pytest

from support.trained import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory, backbone: Path) -> Path:
    return small_run(tmp_path_factory, backbone).path
