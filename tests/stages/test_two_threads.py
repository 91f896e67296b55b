"""The same seed twice is the same to the byte at two threads, too."""

import pytest
import torch

from cllm4rec import progress
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.toy_run import toy_config


@pytest.fixture
def two_threads():
    """Training sets the number for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("target", "order", "pretrained"), [("holdout", "random", "true"), ("next", "time", "false")]
)
def test_the_same_seed_trains_the_same_model_twice(
    backbone, tmp_path, target, order, pretrained, two_threads
):
    # Few items, and steps so large that torch splits their sums among threads.
    write_planted_world(tmp_path, users=200, items=40, genres=4, sparse_share=0.0)
    config = toy_config(
        backbone,
        "threads=2",
        "backbone.mode=full",
        "model.linear=false",
        f"pretrain.enabled={pretrained}",
        f"finetune.target={target}",
        f"corpus.order={order}",
        "finetune.batch_users=200",
        "finetune.batch_tokens=16384",
        "finetune.dropout=0.1",
        "pretrain.batch_tokens=16384",
    )
    models = []
    for name in ("first", "second"):
        run = RunDir(tmp_path / name)
        with progress.quiet():
            split = tmp_path / "split.parquet"
            prepare(tmp_path, run, split=split, protocol="paper", config=config)
            train(run, config)
        models.append(run.file("model", "model.safetensors").read_bytes())
    assert torch.get_num_threads() == 2
    assert models[0] == models[1]
