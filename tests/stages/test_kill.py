"""A real kill -9 in the middle of training: the run goes on as if nothing had happened."""

import json
import os
import shutil
import signal
import time

import pytest

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.forked import forked
from support.toy_run import toy_config


def lines(run: RunDir) -> int:
    path = run.file("metrics.jsonl")
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


@pytest.fixture
def config(backbone) -> Config:
    return toy_config(backbone, "finetune.epochs=3", "pretrain.batch_tokens=256")


@pytest.fixture
def prepared(tmp_path, config):
    """Two runs on the same data: few users, in steps small enough to be killed in."""
    source, run = tmp_path / "source", RunDir(tmp_path / "whole")
    write_planted_world(source, users=120, items=60, genres=4)
    prepare(source, run, split=source / "split.parquet", protocol="paper", config=config)
    return run, RunDir(shutil.copytree(run.path, tmp_path / "killed"))


@pytest.mark.slow
def test_killed_and_resumed_training_gives_the_same_bytes(prepared, config, tmp_path):
    whole, killed = prepared
    training = tmp_path / "said", "train", "--run", killed.path
    with progress.quiet():
        train(whole, config)
    num_lines = lines(whole)
    kills, slow = 0, set()
    for share, stage in ((0.25, "pretrain"), (0.75, "finetune")):
        begun = killed.file("checkpoints", stage, "state.json")
        process = forked(*training)
        while process.is_alive() and (lines(killed) < share * num_lines or not begun.is_file()):
            time.sleep(0.005)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.join()
        assert not killed.is_done("finetune")
        # As if it had been killed while it wrote its next checkpoint.
        killed.file("checkpoints", f".finetune.tmp-{process.pid}").mkdir(parents=True)
        for state in killed.file("checkpoints").glob("*/state.json"):
            record = json.loads(state.read_text())
            state.write_text(json.dumps({**record, "seconds": record["seconds"] + 1000}))
            slow.add(state.parent.name)
    assert kills == 2
    process = forked(*training)
    process.join(120)
    assert process.exitcode == 0, training[0].read_text()
    for name in ("pretrained/collaborative", "pretrained/content", "model/model"):
        first, second = (run.file(f"{name}.safetensors").read_bytes() for run in (whole, killed))
        assert first == second, name
    assert killed.file("metrics.jsonl").read_bytes() == whole.file("metrics.jsonl").read_bytes()
    assert not list(killed.path.rglob("*.tmp-*"))
    assert slow == {"pretrain", "finetune"}
    for stage in slow:
        assert killed.info(stage)["seconds"] > 1000, "the processes before are counted"
