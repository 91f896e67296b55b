"""Speed on a device, at toy size: on the processor, and on the pretended device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import backend_registration

from benchmarks import backbones
from benchmarks.entry import run_command
from benchmarks.speed.__main__ import speed
from benchmarks.speed.clock import Clock
from benchmarks.speed.device import ON_A_DEVICE
from benchmarks.speed.settings import TRAINING
from benchmarks.speed.windows import TrainingWindow
from benchmarks.speed.world import QUICK, single_words
from cllm4rec.models.pretrained import SMOLLM2, find_backbone
from cllm4rec.planning.stand_in import stand_in
from cllm4rec.tokens.tokenizer import WordTokenizer
from cllm4rec.training.loop import Pass

SCRIPT = Path(__file__).parents[2] / "support" / "pretended_speed.py"


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        run_command(speed, arguments)
    return ended.value.code


@pytest.fixture
def arguments(backbone, tmp_path) -> list[str]:
    settings = [f'backbone.name="{backbone}"', "backbone.dtype=float32", "threads=1"]
    given = ["--device", "cpu", "--quick", "--seconds", "0", "--tokens", "100"]
    given += ["--folder", str(tmp_path / "out")]
    return [*given, *(word for setting in settings for word in ("--set", setting))]


def test_one_command_leaves_a_row_for_each_stage_at_two_layers_and_all(arguments, tmp_path, capsys):
    assert run([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "speed.json").read_text()) == result
    assert [(row["stage"], row["depth"]) for row in result["rows"]] == [
        (stage, depth) for stage in ON_A_DEVICE for depth in (2, 3)
    ]
    assert [(check["stage"], check["check"]) for check in result["checks"]] == [
        (stage, "equal") for stage in ON_A_DEVICE
    ]
    peak = result["peak"]["gflops_per_s"]
    for row in result["rows"]:
        step_s = row["ms"] / 1e3
        assert row["tokens_per_s"] == pytest.approx(row["tokens_per_step"] / step_s)
        gflops = 1e-9 * row["flops_per_token"] * row["tokens_per_s"]
        assert row["gflops_per_s"] == pytest.approx(gflops)
        assert row["mfu"] == pytest.approx(gflops / peak, rel=0.02)
        assert row["ms_low"] <= row["ms"] <= row["ms_high"]
        assert 0 <= row["padding"] < 1
        assert row["peak_mb"] > 0
        assert sum(row["shares"].values()) == pytest.approx(1)
        parts = {"backbone", "batches"}
        parts |= {"backward", "optimiser"} if row["stage"] in TRAINING else set()
        assert parts <= {part for part, share in row["shares"].items() if share > 0}
    page = (tmp_path / "out" / "speed.md").read_text()
    for fact in (result["card"], torch.__version__, "tf32: off", result["dtype"], "400 users"):
        assert fact in page
    assert page.count("\n| ") == 2 + len(result["rows"])


def test_tables_to_read_and_other_steps(arguments, capsys):
    given = ["--stages", "content", "--depths", "1", "--tokens", "60,300"]
    assert run([*arguments, *given]) == 0
    shown = capsys.readouterr().out
    for word in ("tokens/step", "MFU %", "padding %", "forward", "optimiser", "peak GFLOP/s"):
        assert word in shown
    found = [
        line.split()[2:] for line in shown.splitlines() if line.split()[:2] == ["content", "1"]
    ]
    few, many = (int(cells[0]) for cells in found[:2])
    assert few <= 60 < many <= 300


def test_a_stage_without_memory_is_a_row_and_the_others_are_measured(
    arguments, monkeypatch, capsys
):
    right = TrainingWindow.run

    def run_out(window):
        if window.workload.stage == "content":
            raise torch.OutOfMemoryError
        right(window)

    monkeypatch.setattr(TrainingWindow, "run", run_out)
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal breaks the row's name into lines
    given = ["--stages", "content,finetune-next", "--depths", "1"]
    assert run([*arguments, *given]) == 0
    shown = capsys.readouterr().out
    assert "content 1 (no memory)" in shown
    assert shown.count("finetune-next 1") == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--device", "warp"], "setting device = 'warp'"),
        (["--device", "cpu", "--plot", "roofline.svg"], "--plot is only without --device"),
        (["--device", "cpu", "--data", "DIR"], "--data is only without --device"),
        (["--device", "cpu", "--stages", "dreaming"], "no stage 'dreaming'"),
        (["--quick"], "--quick is only with --device NAME"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, given, said):
    assert run(given) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch knows no devices written in Python",
)
def test_on_another_device_it_is_equal_and_needs_no_more_than_a_gpu_s_machine_has(backbone):
    """Nothing stays on the processor on the way, and gradients are those of the slow path."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(backbone)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["device"], result["card"], result["dtype"]) == ("pretend", "pretend", "float32")
    assert [check["check"] for check in result["checks"]] == ["equal", "equal"]
    training, scoring = result["rows"]
    assert training["shares"]["batches"] > 0  # waited for: another thread makes them
    assert min(training["tokens_per_s"], scoring["tokens_per_s"], training["making_ms"]) > 0


def test_a_window_s_batches_are_made_by_a_thread_for_a_device_alone(built):
    """Both do the same steps: the parameters are bitwise those of the other."""
    trained = {}
    for kind in ("cpu", "meta"):  # not computed on; the kind decides who makes batches
        [workload] = built(["finetune-holdout"])
        window = TrainingWindow(workload, Clock(torch.device(kind)), average=0.0, most_tokens=0)
        window.lengthen(3)
        window.run()
        trained[kind] = [p.detach().clone() for p in workload.objective.parameters().values()]
    assert all(map(torch.equal, trained["cpu"], trained["meta"]))


def test_a_window_counts_its_own_steps(built):
    [workload] = built(["content"])
    objective = workload.objective
    window = TrainingWindow(workload, Clock(), average=0.0, most_tokens=0)
    window.lengthen(3)
    steps = objective.steps(Pass("content", 0, len(objective.corpus)))[:3]
    lengths = objective.corpus.lengths()
    amount = window.work().amount
    assert amount.tokens == sum(lengths[drawn.index] for step in steps for drawn in step)
    assert amount.padded == sum(
        len(step) * max(lengths[drawn.index] for drawn in step) for step in steps
    )
    assert amount.users == sum(map(len, steps))
    window.lengthen(10**6)
    assert window.steps == len(window.every)


def test_without_the_backbone_s_file_weights_are_random_and_nothing_is_fetched(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(backbones, "stand_in", lambda depth: stand_in(depth, heads=3))
    name = backbones.backbone_here(tmp_path / "lm", 1, QUICK.words)
    assert find_backbone(name) == tmp_path / "lm"
    words = single_words(tmp_path / "lm" / "tokenizer.json")
    assert len(words) >= QUICK.words
    tokenizer = WordTokenizer.from_folder(tmp_path / "lm", 49_152)
    assert {len(tokens) for tokens in tokenizer.encode([f" {word}" for word in words])} == {1}
    (tmp_path / "cache" / "backbones" / SMOLLM2).mkdir(parents=True)
    assert backbones.backbone_here(tmp_path / "other", 1) == SMOLLM2
