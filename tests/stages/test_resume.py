"""Finetuning that ends between two epochs goes on with everything that its result depends on."""

import shutil

import pytest

from cllm4rec import progress
from cllm4rec.run import RunDir
from cllm4rec.stages.train import train
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


def validations(run: RunDir) -> dict[int, dict]:
    """By epoch, the last one where an epoch was repeated."""
    return {
        row["epoch"]: row["llm_alone"]
        for row in run.metrics()
        if row["stage"] == "finetune" and "valid" in row
    }


@pytest.mark.parametrize(
    ("mode", "average", "texts"),
    [("frozen", 0.0, "none"), ("frozen", 2.0, "read"), ("full", 0.0, "words")],
)
def test_every_later_epoch_is_the_same(prepared, backbone, monkeypatch, mode, average, texts):
    config = toy_config(
        backbone,
        "pretrain.enabled=false",
        "finetune.epochs=4",
        "finetune.patience=4",
        "finetune.learning_rate=0.01",
        f"finetune.average={average}",
        f"backbone.mode={mode}",
        f"model.item_texts={texts}",
        f"finetune.text_prior_weight={1.0 if texts == 'words' else 0.0}",
        "model.reading_depth=1",
    )
    whole, stopped = prepared("whole"), prepared("stopped")
    with progress.quiet():
        train(whole, config)
        log = RunDir.log_metrics

        def until_the_third_epoch(self: RunDir, **row) -> None:
            if row["stage"] == "finetune" and row.get("pass") == 2:
                raise Interrupted
            log(self, **row)

        with monkeypatch.context() as patch:
            patch.setattr(RunDir, "log_metrics", until_the_third_epoch)
            with pytest.raises(Interrupted):
                train(stopped, config)
        train(stopped, config)
    first, second = validations(whole), validations(stopped)
    assert list(first) == list(second) == [0, 1, 2, 3, 4]
    assert first == second
    assert first[3] != first[2] != first[1]
    model = "model/model.safetensors"
    assert whole.file(model).read_bytes() == stopped.file(model).read_bytes()
