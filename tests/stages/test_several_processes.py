"""Training on several processes of torchrun is the training of one, wherever it is resumed."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cllm4rec import progress
from cllm4rec.config import PAPER_SMALL, SEQUENCES, SETS, request_of, resolve
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.prepare import prepare
from support.several_processes import start, train_here, train_on
from support.toy_run import toy

BRIEF = ("finetune.epochs=2", "finetune.least_steps=0", "finetune.dropout=0", "backbone.dropout=0")
PRESETS = {  # few documents a step: of four processes some have none
    "sets": (SETS, "finetune.batch_users=3", "finetune.average=1.0"),
    "sequences": (SEQUENCES, "finetune.batch_tokens=60"),
    "paper": (PAPER_SMALL, "finetune.batch_users=10", "pretrain.rounds=1"),
}
"""What is trained, and what makes it brief: both kinds of backbone, all losses, an average."""
STOPPED_AFTER = 12
"""Steps of finetuning: in the second epoch."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, backbone) -> Path:
    """A folder with an initialised run of each preset."""
    folder = tmp_path_factory.mktemp("prepared")
    write_planted_world(folder / "source", users=30, items=40, genres=4)
    for name, (preset, *changes) in PRESETS.items():
        given = request_of(preset, [*toy(backbone), *BRIEF, *changes])
        config = resolve(given, newest_held_out=False)
        run, split = RunDir(folder / name), folder / "source" / "split.parquet"
        with progress.quiet():
            prepare(folder / "source", run, split=split, protocol="paper", config=config)
            initialise(run, config)
    return folder


@pytest.fixture(scope="module")
def killed(prepared, tmp_path_factory) -> tuple[Path, int, str]:
    """A run on two processes of which one was killed; its number, and what the other one said.

    torchrun starts both anew with the same command once both have ended.
    """
    run = Path(shutil.copytree(prepared / "sets", tmp_path_factory.mktemp("killed") / "run"))
    again = ["--max-restarts", "1", *command(run)]
    process = start(2, *again, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not RunDir(run).metrics() and process.poll() is None:
        time.sleep(0.01)
    number = process_of_rank(1, process.pid)
    os.kill(number, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return run, number, said


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory) -> Path:
    """Copies ``preset-N`` trained by N processes, and ``sets-N-M`` begun by N, ended by M."""
    folder = tmp_path_factory.mktemp("trained")

    def copy(preset: str, name: str) -> Path:
        return Path(shutil.copytree(prepared / preset, folder / f"{preset}-{name}"))

    def jobs(number: int, *others: str) -> list[str]:
        return [*(str(copy(preset, str(number))) for preset in PRESETS), *others]

    def begun(name: str) -> str:
        return f"{copy('sets', name)}:{STOPPED_AFTER}"

    for job in jobs(1, begun("1-2")):
        train_here(job)
    divided = f"divided={copy('sequences', 'divided')}"
    train_on(4, "checks", *jobs(4, begun("4-2"), f"divided={begun('divided-2')}"), divided)
    resumed = [str(folder / f"sets-{name}") for name in ("1-2", "4-2")]
    resumed.append(f"divided={folder / 'sets-divided-2'}")
    train_on(2, *jobs(2, begun("2-1")), *resumed)
    train_here(folder / "sets-2-1")
    return folder


def command(run: Path) -> list[str]:
    return ["-m", "--", "cllm4rec", "train", "--run", str(run)]


def weights(run: Path) -> dict[str, Tensor]:
    files = ["pretrained/collaborative", "pretrained/content", "model/model"]
    return {
        f"{name}/{key}": tensor
        for name in files
        if (run / f"{name}.safetensors").is_file()
        for key, tensor in load_file(run / f"{name}.safetensors").items()
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("number", ["2", "4"])
def test_any_number_of_processes_trains_the_same_model(prepared, trained, preset, number):
    alone, together = weights(trained / f"{preset}-1"), weights(trained / f"{preset}-{number}")
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-5, msg=name)
    start = load_file(prepared / preset / "initial" / "start.safetensors")["collaborative"]
    moved = (alone["model/model/embedding.items.weight"] - start).abs().max()
    assert moved > 1e-3  # a hundred times what is allowed above


@pytest.mark.parametrize("name", ["sequences-divided", "sets-divided-2"])
def test_a_divided_item_table_is_trained_to_the_same_model(trained, name):
    alone, together = weights(trained / f"{name.split('-')[0]}-1"), weights(trained / name)
    for key, tensor in alone.items():
        torch.testing.assert_close(together[key], tensor, rtol=1e-5, atol=1e-5, msg=key)


@pytest.mark.parametrize("preset", PRESETS)
def test_their_logs_are_those_of_one(trained, preset):
    alone, *together = (RunDir(trained / f"{preset}-{number}").metrics() for number in (1, 2, 4))
    for rows in together:
        assert len(rows) == len(alone)
        for row, wanted in zip(rows, alone, strict=True):
            assert row.keys() == wanted.keys()
            if "loss" in row:
                assert row["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
            if "valid" in row:
                assert row["valid"] == pytest.approx(wanted["valid"])


@pytest.mark.parametrize("name", ["1-2", "4-2", "2-1"])
def test_a_training_goes_on_with_another_number_of_processes(trained, name):
    alone, resumed = weights(trained / "sets-1"), weights(trained / f"sets-{name}")
    for key, tensor in alone.items():
        torch.testing.assert_close(resumed[key], tensor, rtol=1e-5, atol=1e-5, msg=key)
    steps = [row["step"] for row in RunDir(trained / f"sets-{name}").metrics() if "step" in row]
    assert steps == [row["step"] for row in RunDir(trained / "sets-1").metrics() if "step" in row]


def test_a_killed_process_ends_all_and_one_line_says_how_to_go_on(killed):
    run, number, said = killed
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"training process 1 of 2 (pid {number} on " in line
    assert line.endswith(f"To go on: torchrun --nproc-per-node 2 {' '.join(command(run))}")


def test_what_was_killed_goes_on_to_the_same_bytes(trained, killed):
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (trained / "sets-2" / name).read_bytes() == (killed[0] / name).read_bytes(), name


def process_of_rank(rank: int, parent: int) -> int:
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
    raise AssertionError(f"no process of rank {rank}")
