"""A planted world, prepared and trained once with a toy backbone, for all stage tests."""

from pathlib import Path

import pytest

from support.trained import Trained, planted_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, backbone: Path) -> Trained:
    return planted_run(tmp_path_factory, backbone)
