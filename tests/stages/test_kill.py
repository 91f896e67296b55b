"""A real kill -9 in the middle of training: the run goes on as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from cllm4rec.config import to_toml
from cllm4rec.run import RunDir
from support.toy_run import toy_config


def start(run: RunDir) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        "from cllm4rec.cli import main; main()",
        "train",
        "--run",
        run.path,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def lines(run: RunDir) -> int:
    path = run.file("metrics.jsonl")
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


@pytest.fixture
def prepared(trained, backbone, tmp_path):
    config = toy_config(backbone, "finetune.epochs=3", "pretrain.batch_tokens=256")

    def make(name: str) -> RunDir:
        run = RunDir(tmp_path / name).create()
        shutil.copytree(trained.run.file("data"), run.file("data"))
        run.file("config.toml").write_text(to_toml(config))
        run.finish("prepare", [run.file("data")], 0.0)
        return run

    return make


@pytest.mark.slow
def test_killed_and_resumed_training_gives_the_same_bytes(prepared):
    whole, killed = prepared("whole"), prepared("killed")
    uninterrupted = start(whole)
    _, errors = uninterrupted.communicate(timeout=120)
    assert uninterrupted.returncode == 0, errors.decode()
    num_lines = lines(whole)
    kills = 0
    for share in (0.25, 0.75):
        process = start(killed)
        while lines(killed) < share * num_lines and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        assert not killed.is_done("finetune")
        # As if it had been killed while it wrote its next checkpoint.
        killed.file("checkpoints", f".finetune.tmp-{process.pid}").mkdir(parents=True)
    assert kills == 2
    process = start(killed)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    for name in ("pretrained/collaborative", "pretrained/content", "model/model"):
        first, second = (run.file(f"{name}.safetensors").read_bytes() for run in (whole, killed))
        assert first == second, name
    assert killed.file("metrics.jsonl").read_bytes() == whole.file("metrics.jsonl").read_bytes()
    assert not list(killed.path.rglob("*.tmp-*"))
