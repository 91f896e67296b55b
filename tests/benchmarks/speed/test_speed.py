"""The command as a whole, on a toy: what it prints, what it writes, when it fails."""

import json

import pytest
import torch

from benchmarks.entry import run_command
from benchmarks.speed import measuring, running
from benchmarks.speed.__main__ import speed
from benchmarks.speed.machine import Peak, growth_mb
from benchmarks.speed.settings import STAGES
from cllm4rec import progress
from cllm4rec.errors import InputError
from support.tiny_backbone import SIZE


@pytest.fixture
def arguments(planted, overrides) -> list[str]:
    source = planted.dataset.folder.parent / "source"
    given = ["--data", str(source), "--split", str(source / "split.parquet")]
    for override in overrides:
        given += ["--set", override]
    return [*given, "--seconds", "0"]


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        run_command(speed, arguments)
    return ended.value.code


def test_one_object_with_machine_peak_and_a_row_for_each_stage_and_depth(
    arguments, tmp_path, capsys
):
    plot = tmp_path / "roofline.svg"
    assert run([*arguments, "--depths", "1,3", "--plot", str(plot), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [(row["stage"], row["depth"]) for row in result["rows"]] == [
        (stage, depth) for stage in STAGES for depth in (1, 3)
    ]
    assert result["failed"] == []
    assert result["machine"]["threads"] == torch.get_num_threads()
    assert result["rounds"] == measuring.LEAST_ROUNDS
    for row in result["rows"]:
        assert row["check"] == "equal"
        assert row["runs"] == result["rounds"]
        assert row["mfu"] == pytest.approx(
            row["gflops_per_s"] / result["peak"]["gflops_per_s"], rel=0.02
        )
        assert row["gflops_per_s"] == pytest.approx(row["gflops"] / row["ms"] * 1e3)
        assert row["tokens_per_s"] == pytest.approx(row["tokens"] / row["ms"] * 1e3)
        assert row["ms_low"] <= row["ms"] <= row["ms_high"]
        assert 0 <= row["padding"] < 1
        assert row["peak_mb"] >= row["kept_mb"] > 0
        assert sum(row["shares"].values()) == pytest.approx(1)
    shallow, deep = (row for row in result["rows"] if row["stage"] == "finetune-holdout")
    assert shallow["tokens"] == deep["tokens"]
    assert shallow["gflops"] < deep["gflops"]
    assert plot.read_text().startswith("<?xml")


@pytest.mark.parametrize(("limit_s", "kept"), [(0.0, [1]), (600.0, [1, 2, 3])])
def test_depths_for_which_there_is_no_time_are_left_out_unless_asked_for(
    arguments, monkeypatch, capsys, limit_s, kept
):
    monkeypatch.setattr(running, "DEFAULT_DEPTHS", (1, 2, 3))
    monkeypatch.setattr(running, "LIMIT_S", limit_s)
    given = [*arguments, "--stages", "request", "--json"]
    assert run(given) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["depth"] for row in result["rows"]] == kept
    assert kept + result["left_out"] == [1, 2, 3]
    assert run([*given, "--depths", "2,3"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["depth"] for row in result["rows"]] == [2, 3]
    assert result["left_out"] == []


def test_what_was_left_out_is_said(arguments, monkeypatch, capsys):
    monkeypatch.setattr(running, "DEFAULT_DEPTHS", (1, 2, 3))
    monkeypatch.setattr(running, "LIMIT_S", 0.0)
    assert run([*arguments, "--stages", "request"]) == 0
    assert "--depths 2,3: more than three minutes" in capsys.readouterr().out


def test_half_precision_is_checked_in_float32_too(arguments, capsys):
    given = [*arguments, "--set", "backbone.dtype=bfloat16", "--depths", "1,2", "--json"]
    assert run([*given, "--stages", "finetune-holdout,evaluate"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for row in rows:
        tolerance = measuring.TOLERANCE
        for name, error in row["errors"].items():
            kind = torch.float32 if name.startswith("exact_") else torch.bfloat16
            assert error <= tolerance[kind][name.removeprefix("exact_")]
        assert {n for n in row["errors"] if n.startswith("exact_")}
    assert max(row["errors"].get("gradient", 0) for row in rows) > 1e-3


def test_tables_to_read(arguments, capsys):
    assert run([*arguments, "--depths", "1", "--stages", "finetune-next,request"]) == 0
    shown = capsys.readouterr().out
    for word in ("finetune-next 1", "tokens/s", "busy %", "equal", "backward", "peak MB"):
        assert word in shown
    assert "WRONG" not in shown
    # The data's path is cut where it is long, and under xdist it is; no cell of a table is.
    facts, _title, tables = shown.partition("\nspeed")
    assert "data" in facts
    assert "tokens/s" in tables
    assert "…" not in tables


def test_a_stage_that_computes_something_else_is_marked_and_the_exit_code_is_one(
    arguments, monkeypatch, capsys
):
    nothing = {torch.float32: {"loss": -1.0, "gradient": -1.0, "scores": -1.0}}
    monkeypatch.setattr(measuring, "TOLERANCE", nothing)
    assert run([*arguments, "--depths", "1", "--stages", "request"]) == 1
    shown = capsys.readouterr().out
    assert "WRONG" in shown
    assert "distance from the slow path" in shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--stages", "dreaming"], "no stage 'dreaming'"),
        (["--depths", "two"], "'two' is not a list"),
        (["--depths", "0"], "'0' is not a list"),
        (["--depths", "9"], "3 layers"),
        (["--plot", "roofline.doc"], "cannot draw roofline.doc"),
        (["--set", "corpus.order=time"], "corpus.order"),
        (["--set", "preset=paper"], "setting preset = 'paper': `benchmarks/speed` measures"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(arguments, capsys, given, said):
    assert run([*arguments, *given]) == 2
    assert said in capsys.readouterr().err


def test_data_without_texts_have_no_content_stage(tmp_path, overrides):
    from support.input_folder import small_log, write_rows

    write_rows(tmp_path / "source", "interactions", small_log())
    with progress.quiet(), pytest.raises(InputError, match="no texts"):
        running.measure_speed(
            str(tmp_path / "source"), depths=[1], stages=["content"], overrides=overrides
        )


def test_the_peak_is_the_best_product_s():
    peak = Peak({"small": (8, SIZE, 8), "wide": (64, SIZE, 64)})
    for _ in range(3):
        peak.turn()
    report = peak.report()
    assert [row["product"] for row in report["products"]] == ["small", "wide"]
    assert report["gflops_per_s"] == pytest.approx(
        max(row[f"{kind}_gflops_per_s"] for row in report["products"] for kind in KINDS), abs=0.1
    )
    assert peak.bandwidth > 0


KINDS = ("float32", "bfloat16")


def test_memory_that_a_call_takes_and_gives_back_is_seen():
    growth = growth_mb(lambda: torch.ones(25_000_000).sum())
    assert 90 < growth < 200
