"""A dataset and workloads at toy size."""

from pathlib import Path

import pytest

from benchmarks.speed.building import build
from benchmarks.speed.check import SlowBackbone
from benchmarks.speed.scoring_stages import fitted_linear
from cllm4rec import progress
from support.planted import planted
from support.tiny_backbone import write_tiny_llama

__all__ = ["planted"]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("backbone"), layers=3)


@pytest.fixture(scope="session")
def overrides(backbone) -> list[str]:
    return [
        f'backbone.name="{backbone}"',
        "backbone.dtype=float32",
        "threads=1",
        "pretrain.batch_tokens=300",
        "finetune.batch_tokens=300",
        "finetune.batch_users=8",
    ]


@pytest.fixture
def built(planted, overrides, tmp_path):
    """Makes workloads of stages' names, two layers deep."""

    def make(stages):
        with progress.quiet():
            linear = fitted_linear(planted.dataset)
            return list(build(stages, planted.dataset, 2, overrides, tmp_path, linear))

    return make


@pytest.fixture
def slow(backbone) -> SlowBackbone:
    return SlowBackbone(backbone, 2)
