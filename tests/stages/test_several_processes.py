"""Training on several processes of torchrun is the training of one, wherever it is resumed."""

import json
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
from cllm4rec.errors import IntegrityError
from cllm4rec.run import RunDir
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.prepare import prepare
from cllm4rec.training.checkpoint import Checkpoint
from support.several_processes import kill_one, start, train_here, train_on
from support.toy_run import toy

BRIEF = ("finetune.epochs=2", "finetune.least_steps=0", "finetune.dropout=0", "backbone.dropout=0")
FULL = "backbone.mode='full'"
PRESETS = {  # few documents a step: of four processes some have none
    "sets": (SETS, "finetune.batch_users=3", "finetune.average=1.0"),
    "sequences": (SEQUENCES, "finetune.batch_tokens=60", "finetune.text_prior_weight=1"),
    # Items made of their texts are not divided.
    "ordered": (SEQUENCES, "finetune.batch_tokens=60", "model.item_texts=none"),
    "paper": (PAPER_SMALL, "finetune.batch_users=10", "pretrain.rounds=1"),
    "paper-full": (PAPER_SMALL, "finetune.batch_users=10", "pretrain.rounds=1", FULL),
}
"""What is trained, and what makes it brief: both kinds of backbone, all losses, an average."""
WHOLE = ("sets", "sequences", "paper")
"""Trained by processes each of which has all of the model."""
BOTH = "divided+sharded="
STOPPED_AFTER = 12
"""Steps of training: of `sets` in the second epoch, of `paper` in pretraining."""
LATE = 35
"""Steps of training: of `paper` in the second epoch of finetuning."""
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
def killed_sharded(prepared, tmp_path_factory) -> tuple[Path, int, float, str]:
    """A run with a sharded backbone of which a process was killed; see `kill_one`."""
    folder = tmp_path_factory.mktemp("killed-sharded")
    run = Path(shutil.copytree(prepared / "sequences", folder / "run"))
    return run, *kill_one(2, run)


@pytest.fixture(scope="module")
def trained(prepared, killed_sharded, tmp_path_factory) -> Path:
    """Copies ``preset-N`` trained by N processes, and ``sets-N-M`` begun by N, ended by M."""
    folder = tmp_path_factory.mktemp("trained")

    def copy(preset: str, name: str) -> Path:
        return Path(shutil.copytree(prepared / preset, folder / f"{preset}-{name}"))

    def jobs(number: int, *others: str) -> list[str]:
        return [*(str(copy(preset, str(number))) for preset in WHOLE), *others]

    def begun(name: str, how: str = "", preset: str = "sets", steps: int = STOPPED_AFTER) -> str:
        return f"{how}{copy(preset, name)}:{steps}"

    def ended(name: str, how: str = "", preset: str = "sets") -> str:
        return f"{how}{folder / f'{preset}-{name}'}"

    tables = {"how": "divided=", "preset": "paper"}
    here = (
        begun("1-2"),
        begun("divided-1-2", preset="paper", steps=LATE),
        f"divided={copy('paper', 'divided-1')}",
        str(copy("paper-full", "1")),
        str(copy("ordered", "1")),
    )
    for job in jobs(1, *here):
        train_here(job)
    shutil.copytree(folder / "sets-1-2", folder / "sets-sharded-1-2")
    divided = f"divided={copy('ordered', 'divided')}"
    begun_by_4 = [begun("4-2"), begun("divided-2", "divided="), begun("both-4-2", BOTH)]
    begun_by_4 += [
        begun("divided-4-2", **tables, steps=LATE),
        f"divided={copy('paper', 'divided-4')}",
    ]
    settings = folder / "sets-both-4-2" / "config.toml"  # steps are read in parts
    settings.write_text(settings.read_text().replace("device_tokens = 0", "device_tokens = 12"))
    train_on(4, "checks", *jobs(4, *begun_by_4), divided)
    sharded = [f"sharded={copy(preset, 'sharded')}" for preset in ("sequences", "paper-full")]
    ended_by_2 = [ended("1-2"), ended("4-2"), ended("divided-2", "divided=")]
    ended_by_2 += [
        ended("both-4-2", BOTH),
        ended("sharded-1-2", "sharded="),
        f"sharded={killed_sharded[0]}",
    ]
    ended_by_2 += [ended(name, **tables) for name in ("divided-1-2", "divided-4-2")]
    begun_by_2 = [begun("2-1"), begun("sharded-2-1", "sharded=")]
    begun_by_2 += [begun("divided-2-1", **tables), f"divided={copy('paper', 'divided-2')}"]
    begun_by_2 += [begun("divided-2-2", **tables), ended("divided-2-2", **tables)]
    train_on(2, *jobs(2, *begun_by_2), *ended_by_2, *sharded)
    train_here(folder / "sets-2-1")
    train_here(folder / "paper-divided-2-1")
    shutil.copytree(folder / "sets-sharded-2-1", folder / "stopped")
    train_here(folder / "sets-sharded-2-1")
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


@pytest.mark.parametrize("preset", WHOLE)
@pytest.mark.parametrize("number", ["2", "4"])
def test_any_number_of_processes_trains_the_same_model(prepared, trained, preset, number):
    alone, together = weights(trained / f"{preset}-1"), weights(trained / f"{preset}-{number}")
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-5, msg=name)
    start = load_file(prepared / preset / "initial" / "start.safetensors")["collaborative"]
    moved = (alone["model/model/embedding.items.weight"] - start).abs().max()
    assert moved > 1e-3  # a hundred times what is allowed above


@pytest.mark.parametrize(
    "name",
    [
        "ordered-divided",
        "sets-divided-2",
        *(f"paper-divided-{how}" for how in ("1", "2", "4", "1-2", "2-1", "4-2")),
    ],
)
def test_divided_tables_are_trained_to_the_same_model(trained, name):
    alone, together = weights(trained / f"{name.split('-')[0]}-1"), weights(trained / name)
    near = 1e-6 if name == "paper-divided-1" else 1e-5  # one process sums as it does undivided
    for key, tensor in alone.items():
        torch.testing.assert_close(together[key], tensor, rtol=near, atol=near, msg=key)


@pytest.mark.parametrize(
    "name", ["sequences-sharded", "paper-full-sharded", "sets-sharded-1-2", "sets-both-4-2"]
)
def test_a_sharded_backbone_is_trained_to_the_same_model(trained, name):
    preset = name.removesuffix("-sharded") if name.endswith("-sharded") else "sets"
    alone, together = weights(trained / f"{preset}-1"), weights(trained / name)
    assert alone.keys() == together.keys()
    for key, tensor in alone.items():
        torch.testing.assert_close(together[key], tensor, rtol=1e-5, atol=1e-5, msg=key)


@pytest.mark.parametrize("preset", WHOLE)
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


@pytest.mark.parametrize("name", ["1-2", "4-2", "2-1", "sharded-2-1", "sharded-1-2", "both-4-2"])
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


def test_a_training_of_divided_tables_goes_on_to_the_same_bytes(trained):
    for name in ("pretrained/content.safetensors", "model/model.safetensors", "metrics.jsonl"):
        resumed = (trained / "paper-divided-2-2" / name).read_bytes()
        assert (trained / "paper-divided-2" / name).read_bytes() == resumed, name


def test_a_killed_process_of_a_sharded_training_ends_all_within_a_minute(killed_sharded):
    run, number, seconds, said = killed_sharded
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"training process 1 of 2 (pid {number} on " in line
    assert line.endswith(f"To go on: torchrun --nproc-per-node 2 {' '.join(command(run))}")
    assert seconds < 60


def test_a_killed_sharded_training_goes_on_to_the_same_bytes(trained, killed_sharded):
    for name in ("model/model.safetensors", "metrics.jsonl"):
        whole = (trained / "sequences-sharded" / name).read_bytes()
        assert (killed_sharded[0] / name).read_bytes() == whole, name


def test_a_sharded_checkpoint_is_a_file_of_each_process_sealed_and_without_pickle(trained):
    folder = trained / "stopped" / "checkpoints" / "finetune"
    files = sorted(path.name for path in folder.iterdir())
    assert [name.partition("-model")[0] for name in files] == [
        "shard-00001",
        "shard-00002",
        "state.json",
    ]
    identity = json.loads((folder / "state.json").read_text())["identity"]
    checkpoint = Checkpoint(folder, identity, {}, {})
    position, _, kept = checkpoint.resume()
    assert position.pass_number == 1
    assert kept["best/head.bias"].shape == (40,)
    damaged = bytearray((folder / files[1]).read_bytes())
    damaged[-3] ^= 1
    (folder / files[1]).write_bytes(damaged)
    with pytest.raises(IntegrityError, match=r"shard-00002.* is damaged"):
        checkpoint.resume()


def process_of_rank(rank: int, parent: int) -> int:
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
    raise AssertionError(f"no process of rank {rank}")
