"""Finetuning that ends between two epochs goes on with everything that its result depends on."""

import shutil

import pytest

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


def validations(run: RunDir, stage: str = "finetune") -> dict[int, dict]:
    """By epoch, the last one where an epoch was repeated."""
    return {
        row["epoch"]: row["llm_alone"]
        for row in run.metrics()
        if row["stage"] == stage and "valid" in row
    }


def stopped_at(stage: str, number: int):
    """A log that stops the program in a pass of a stage."""
    log = RunDir.log_metrics

    def stopping(self: RunDir, **row) -> None:
        if row["stage"] == stage and row.get("pass") == number:
            raise Interrupted
        log(self, **row)

    return stopping


@pytest.mark.parametrize(("mode", "average"), [("frozen", 0.0), ("frozen", 2.0), ("full", 0.0)])
def test_every_later_epoch_is_the_same(prepared, backbone, monkeypatch, mode, average):
    config = toy_config(
        backbone,
        "pretrain.enabled=false",
        "finetune.epochs=4",
        "finetune.patience=4",
        "finetune.learning_rate=0.01",
        f"finetune.average={average}",
        f"backbone.mode={mode}",
    )
    whole, stopped = prepared("whole"), prepared("stopped")
    with progress.quiet():
        stages.train(whole, config)
        with monkeypatch.context() as patch:
            patch.setattr(RunDir, "log_metrics", stopped_at("finetune", 2))
            with pytest.raises(Interrupted):
                stages.train(stopped, config)
        stages.train(stopped, config)
    first, second = validations(whole), validations(stopped)
    assert list(first) == list(second) == [0, 1, 2, 3, 4]
    assert first == second
    assert first[3] != first[2] != first[1]
    model = "model/model.safetensors"
    assert whole.file(model).read_bytes() == stopped.file(model).read_bytes()


def test_teachers_that_were_interrupted_teach_the_same(prepared, backbone, monkeypatch):
    config = toy_config(
        backbone,
        "pretrain.enabled=false",
        'backbone.mode="full"',
        'backbone.weights="random"',
        "finetune.teachers=2",
        "finetune.patience=2",
        "finetune.learning_rate=0.01",
    )
    whole, stopped, alone = prepared("whole"), prepared("stopped"), prepared("alone")
    with progress.quiet():
        stages.train(whole, config)
        for stage in ("teacher-1", "teacher-2", "finetune"):
            with monkeypatch.context() as patch:
                patch.setattr(RunDir, "log_metrics", stopped_at(stage, 1))
                with pytest.raises(Interrupted):
                    stages.train(stopped, config)
        stages.train(stopped, config)
        no_teachers = config.finetune.model_copy(update={"teachers": 0})
        stages.train(alone, config.model_copy(update={"finetune": no_teachers}))
    curves = [validations(whole, stage) for stage in ("teacher-1", "teacher-2", "finetune")]
    for stage, curve in zip(("teacher-1", "teacher-2", "finetune"), curves, strict=True):
        assert list(curve) == [0, 1, 2]
        assert validations(stopped, stage) == curve
    # Everyone begins where pretraining ended, but for draws of their own.
    assert curves[0][2] != curves[1][2] != curves[2][2]
    model = "model/model.safetensors"
    assert whole.file(model).read_bytes() == stopped.file(model).read_bytes()
    assert validations(alone)[0] == curves[2][0]
    assert validations(alone)[2] != curves[2][2]
    taught = whole.info("finetune")["teachers"]
    assert [teacher["epochs"] for teacher in taught] == [2, 2]
    assert alone.info("finetune")["teachers"] == []
    assert not list(whole.file("checkpoints").glob("*"))


def test_what_a_teacher_draws_does_not_depend_on_the_others(prepared, backbone):
    settings = ["pretrain.enabled=false", "finetune.epochs=1", "finetune.learning_rate=0.01"]
    curves = []
    for number in (1, 2):
        run = prepared(f"of {number}")
        with progress.quiet():
            stages.train(run, toy_config(backbone, *settings, f"finetune.teachers={number}"))
        curves.append(validations(run, "teacher-1"))
    assert curves[0] == curves[1]
