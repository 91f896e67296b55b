"""A toy run to serve."""

from pathlib import Path

import pytest

from support.tiny_backbone import write_tiny_llama
from support.trained import train_toy_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    backbone = write_tiny_llama(folder / "backbone", layers=2)
    return train_toy_run(folder, backbone, "finetune.user_token_dropout=0.5").path
