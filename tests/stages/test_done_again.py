"""What is done is not done again, unless its files are damaged or its settings changed."""

import shutil

import pytest

from cllm4rec import progress
from cllm4rec.run import RunDir
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.train import train
from support.toy_run import toy_config


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    shutil.copytree(trained.run.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["initial/start.safetensors", "pretrained/content.safetensors", "model/model.json"]
)
def test_a_damaged_result_is_made_again_by_the_same_command(trained, run, name):
    path = run.path / name
    intact = path.read_bytes()
    path.write_bytes(intact[:-3] + b"\0" + intact[-2:])
    with progress.quiet():
        train(run, trained.config)
    for stage in ("initialise", "pretrain", "finetune"):
        run.require(stage)
    assert path.read_bytes() == intact


def test_pretraining_that_is_switched_off_leaves_no_record(trained, backbone, run):
    assert run.is_done("pretrain")
    off = toy_config(backbone, "pretrain.enabled=false", "finetune.epochs=1")
    with progress.quiet():
        assert train(run, off).keys() == {"initialise", "finetune"}
    assert not run.is_done("pretrain")


def test_what_finetuning_drops_changes_nothing_that_was_pretrained(trained, backbone, run):
    before = run.file("pretrained", "collaborative.safetensors").read_bytes()
    run.forget("pretrain")
    with progress.quiet():
        pretrain(run, toy_config(backbone, "finetune.user_token_dropout=1.0"))
    assert run.file("pretrained", "collaborative.safetensors").read_bytes() == before
