"""Finetuning that ends between two epochs goes on with everything that its result depends on."""

import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress, stages
from cllm4rec.rundir import RunDir
from support.toy_run import toy_config


class Interrupted(Exception):
    """Stands for a kill after an epoch's checkpoint."""


@pytest.fixture
def prepared(trained, tmp_path):
    def make(name: str) -> RunDir:
        run = RunDir(tmp_path / name).create()
        shutil.copytree(trained.run.file("data"), run.file("data"))
        run.finish("prepare", [run.file("data")], 0.0)
        return run

    return make


CONFIG = (
    "pretrain.enabled=false",
    "finetune.epochs=4",
    "finetune.patience=4",
    "finetune.learning_rate=0.01",
)


def interrupted_at(run: RunDir, config, monkeypatch, row_of_end: dict) -> None:
    """Train until a row that has all of these is to be logged."""
    log = RunDir.log_metrics

    def until(self: RunDir, **row) -> None:
        if row_of_end.items() <= row.items():
            raise Interrupted
        log(self, **row)

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "log_metrics", until)
        with pytest.raises(Interrupted):
            stages.train(run, config)


def validations(run: RunDir) -> dict[int, dict]:
    """By epoch, the last one where an epoch was repeated."""
    return {
        row["epoch"]: row["llm_alone"]
        for row in run.metrics()
        if row["stage"] == "finetune" and "valid" in row
    }


@pytest.mark.parametrize("average", [0.0, 2.0])
def test_every_later_epoch_is_the_same(prepared, backbone, monkeypatch, average):
    config = toy_config(backbone, *CONFIG, f"finetune.average={average}")
    whole, stopped = prepared("whole"), prepared("stopped")
    with progress.quiet():
        stages.train(whole, config)
        interrupted_at(stopped, config, monkeypatch, {"stage": "finetune", "pass": 2})
        stages.train(stopped, config)
    first, second = validations(whole), validations(stopped)
    assert list(first) == list(second) == [0, 1, 2, 3, 4]
    assert first == second
    assert first[3] != first[2] != first[1]
    model = "model/model.safetensors"
    assert whole.file(model).read_bytes() == stopped.file(model).read_bytes()


@pytest.mark.parametrize("end", [{"member": 2, "pass": 2}, {"member": "mean"}])
def test_members_that_are_done_are_not_trained_again(prepared, backbone, monkeypatch, end):
    config = toy_config(backbone, *CONFIG, "finetune.members=3")
    whole, stopped = prepared("whole"), prepared("stopped")
    with progress.quiet():
        stages.train(whole, config)
        interrupted_at(stopped, config, monkeypatch, end)
        before = len(stopped.metrics())
        stages.train(stopped, config)
    later = stopped.metrics()[before:]
    assert not [row for row in later if "member" not in row], "the first member began anew"
    left = {"mean"} if end == {"member": "mean"} else {2, 3, "mean"}
    assert {row["member"] for row in later} == left
    model = "model/model.safetensors"
    assert whole.file(model).read_bytes() == stopped.file(model).read_bytes()
    assert not whole.path.joinpath("checkpoints", "finetune-2").exists()


def test_the_model_is_the_mean_of_members_that_differ(prepared, backbone, monkeypatch):
    kept = []
    finetuning = sys.modules["cllm4rec.stages.finetune"]  # its name is the function's in `stages`
    soup = finetuning._soup

    def seen(scorer, run, members):
        kept.extend(dict(member.tensors) for member in members)
        return soup(scorer, run, members)

    monkeypatch.setattr(finetuning, "_soup", seen)
    one, three = prepared("one"), prepared("three")
    with progress.quiet():
        stages.train(one, toy_config(backbone, *CONFIG))
        stages.train(three, toy_config(backbone, *CONFIG, "finetune.members=3"))
    alone, model = (load_file(run.file("model/model.safetensors")) for run in (one, three))
    for name, tensor in model.items():
        torch.testing.assert_close(tensor, sum(member[name] for member in kept) / 3)
        # The first member is what a single training gives.
        assert torch.equal(kept[0][name], alone[name])
    tables = [member["embedding.entities"] for member in kept]
    assert not torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[1], tables[2])
    info = three.info("finetune")
    assert [m.keys() for m in info["members"]] == [{"epochs", "epoch", "selection", "blend"}] * 3
    assert info["best_epoch"] == info["members"][0]["epoch"]
    (mean,) = [row for row in three.metrics() if row.get("member") == "mean"]
    assert info["valid"] == mean["valid"]
    assert info["blend"] == mean["blend"]
    assert "members" not in one.info("finetune")
