"""Two processes in one run: the second is refused, whatever its stage, and changes nothing."""

import signal
import subprocess
import sys

import pytest

from cllm4rec import progress
from cllm4rec.errors import RunError
from cllm4rec.run import RunDir, sha256_files
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.train import train
from support.toy_run import toy_config

HOLD = """
import sys, time
from cllm4rec.run import RunDir
with RunDir(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holding(trained):
    """A process that is at work in the trained run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(trained.run.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_every_stage_that_changes_the_run_is_refused_until_the_process_has_ended(trained, holding):
    run, config = trained.run, trained.config
    again = {
        "prepare": lambda: prepare(
            trained.source,
            run,
            split=trained.source / "split.parquet",
            protocol="paper",
            config=config,
        ),
        "pretrain": lambda: pretrain(run, config),
        "finetune": lambda: finetune(run, config),
        "train": lambda: train(run, config),
        "evaluate": lambda: evaluate(run),
    }
    before = sha256_files(run.path, ".")
    for stage in again.values():
        with pytest.raises(RunError, match=f"another process is at work in {run.path}"):
            stage()
    assert sha256_files(run.path, ".") == before
    holding.send_signal(signal.SIGKILL)  # what holds it is the process, not the file
    holding.wait()
    with progress.quiet():
        assert again["prepare"]()["split_file"] == str(run.file("split.parquet"))
        again["train"]()


def test_reading_goes_on_meanwhile(trained, holding, tmp_path):
    lists = trained.run.file("topk", "test.parquet")
    assert evaluate(trained.run, topk=lists)["rows"]
    assert recommend(trained.run, k=3, out=tmp_path / "lists.parquet")["users"]


def test_under_torchrun_it_says_that_the_command_wants_one_process(trained, holding, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="of several this command wants one: start it without"):
        evaluate(trained.run)


def test_a_stage_within_a_stage_leaves_the_run_held(tmp_path):
    run = RunDir(tmp_path / "run").create()

    def free() -> bool:
        script = HOLD.replace("time.sleep(600)", "pass")
        command = [sys.executable, "-c", script, str(run.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "another process is at work" in done.stderr
        return done.returncode == 0

    with run.lock():
        with RunDir(tmp_path / "run").lock():
            pass
        assert not free()
    assert free()


def test_where_there_is_no_run_the_stage_says_what_is_missing(tmp_path, backbone):
    with pytest.raises(RunError, match="has no finished stage `prepare`"):
        train(RunDir(tmp_path / "none"), toy_config(backbone))
    assert not (tmp_path / "none").exists()
