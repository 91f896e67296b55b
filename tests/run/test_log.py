"""The log of a model stays until another training has one of its own."""

import pytest

from cllm4rec.run import RunDir


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir(tmp_path / "run").create()


def trained(run: RunDir, epochs: int) -> None:
    for stage in ("pretrain", "finetune"):
        run.begin_log(stage)
        log(run, stage, *range(epochs))
        run.finish(stage, [], 0.0)


def log(run: RunDir, stage: str, *epochs: int) -> None:
    for epoch in epochs:
        run.log_metrics(stage=stage, epoch=epoch)


def epochs(run: RunDir, stage: str) -> list[int]:
    return [row["epoch"] for row in run.metrics() if row["stage"] == stage]


def test_a_first_training_is_seen_while_it_goes_on(run):
    run.begin_log("finetune")
    log(run, "finetune", 0, 1)
    assert epochs(run, "finetune") == [0, 1]
    run.begin_log("finetune")
    assert run.metrics() == []


def test_a_models_lines_stay_until_the_next_model_is_there(run):
    trained(run, 3)
    run.forget("pretrain")
    log(run, "pretrain", 7)
    run.begin_log("finetune")
    size = run.log_size()
    log(run, "finetune", 8, 9)
    assert (epochs(run, "pretrain"), epochs(run, "finetune")) == ([0, 1, 2], [0, 1, 2])
    run.cut_log(size)
    log(run, "finetune", 8)
    run.finish("pretrain", [], 0.0)
    assert epochs(run, "finetune") == [0, 1, 2]
    run.finish("finetune", [], 0.0)
    assert (epochs(run, "pretrain"), epochs(run, "finetune")) == ([7], [8])
    assert not run.file("checkpoints", "metrics.jsonl").exists()


def test_of_one_that_fails_nothing_is_left_in_the_next(run):
    trained(run, 2)
    run.begin_log("finetune")
    log(run, "finetune", 5)
    run.begin_log("finetune")
    log(run, "finetune", 6)
    run.finish("finetune", [], 0.0)
    assert (epochs(run, "pretrain"), epochs(run, "finetune")) == ([0, 1], [6])


def test_other_data_end_both(run):
    trained(run, 2)
    run.begin_log("finetune")
    log(run, "finetune", 5)
    run.forget("prepare", "initialise", "pretrain", "finetune", "evaluate")
    assert run.metrics() == []
    log(run, "finetune", 0)
    assert epochs(run, "finetune") == [0]


def test_what_writes_no_lines_moves_none(run):
    trained(run, 2)
    before = run.file("metrics.jsonl").read_bytes()
    run.forget("evaluate")
    assert run.file("metrics.jsonl").read_bytes() == before
    assert not run.file("checkpoints", "metrics.jsonl").exists()
