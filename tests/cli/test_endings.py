"""What a person reads of a stage, and the command that its output ends with."""

import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cllm4rec.cli import cllm4rec, main
from cllm4rec.config import PRESETS
from cllm4rec.data import sources
from cllm4rec.run import RunDir
from cllm4rec.stages.settings import write_settings

REPORT = {
    "split": "paper",
    "seed": 0,
    "refused": {"interactions": {"bad rating": 3}, "reviews": {}},
    "ordered": False,
    "timestamp_unit": None,
    "users_refused": 0,
    "users_left_out": 2,
    "ratings": {"lowest": 0.0, "highest": 5.0},
    "kept": {"users": 9, "train": 70, "valid": 0, "test": 8, "history": 0, "reviews": 0},
    "split_file": "R/split.parquet",
}
START = {"power": 0.5, "text_weight": 1.0}
TRAINED = {
    "initialise": {"start": START, "linear": {"l2": 1000.0}, "seconds": 60.5},
    "finetune": {
        "chosen": "the language model of epoch 2 of 3; blend weight 0.7",
        "start": START,
        "valid": {"recall@10": 0.25, "recall@20": 0.5, "ndcg@10": 0.125},
        "seconds": 39.5,
    },
}
ROW = {"model": "hybrid", "metrics": {"recall@20": 0.5}}
ADDED = {"added": 2, "skipped": {}, "items": 62}


@pytest.fixture
def run(tmp_path) -> RunDir:
    """A prepared run, whose path a shell would take for two; settings of another measure."""
    run = RunDir(tmp_path / "a run").create()
    run.finish("prepare", [], 1.0)
    config = PRESETS["sets"]
    write_settings(run.file("config.toml"), config.changed(evaluate={"selection": ["ndcg@10"]}))
    return run


@pytest.fixture
def printed(monkeypatch, capsys):
    """A function that runs a command whose stage gives a result; what it prints."""
    monkeypatch.delenv("COLUMNS", raising=False)  # a narrow terminal's would break long paths

    def lines_of(result: dict[str, Any], command: str, *arguments: object) -> list[str]:
        stage = command.replace("-", "_")
        given = {stage: lambda *_, **__: result, "configure": lambda *_: None}
        for name in (stage, "prepare"):
            stand_in = SimpleNamespace(**given)
            monkeypatch.setitem(sys.modules, f"cllm4rec.stages.{name}", stand_in)
        with pytest.raises(SystemExit) as end:
            main([command, *map(str, arguments)])
        out, err = capsys.readouterr()
        assert end.value.code == 0, err
        return [" ".join(line.split()) for line in out.splitlines()]

    return lines_of


def following(lines: list[str]) -> list[str]:
    """The arguments of the last line's command, which a shell must accept as they are."""
    said, *rest = shlex.split(lines[-1], comments=True)
    assert (said, rest[0]) == ("next:", "cllm4rec")
    cllm4rec.commands[rest[1]].make_context(rest[1], rest[2:])
    return rest[1:]


def test_prepare_says_what_happened_and_what_is_left_of_the_log(printed, run):
    given = ["--data", "D", "--run", run.path]
    lines = printed(REPORT, "prepare", *given)
    assert lines[:-1] == [
        "split paper",
        "refused · interactions · bad rating 3",
        "ordered no",
        "users left out 2",
        "ratings · lowest 0",
        "ratings · highest 5",
        "kept · users 9",
        "kept · train 70",
        "kept · valid 0",
        "kept · test 8",
    ]
    assert following(lines) == ["train", "--run", str(run.path)]
    (line,) = printed(REPORT, "prepare", *given, "--json")
    assert json.loads(line) == REPORT


def test_train_says_what_was_chosen_by_the_measures_that_chose(printed, run):
    lines = printed(TRAINED, "train", "--run", run.path)
    assert lines[:-1] == [
        "chosen the language model of epoch 2 of 3; blend weight 0.7",
        "trained in 1 min 40 s",
        "on validation ndcg@10 0.1250",
        f"details {run.file('manifest.json')}",
    ]
    assert following(lines) == ["evaluate", "--run", str(run.path)]
    (line,) = printed(TRAINED, "train", "--run", run.path, "--json")
    assert json.loads(line) == TRAINED


@pytest.mark.parametrize("keep_test", [False, True])
@pytest.mark.parametrize("command", ["refit", "train"])
def test_what_nothing_is_left_to_measure_of_goes_to_work(
    printed, run, tmp_path, monkeypatch, command, keep_test
):
    monkeypatch.setattr("cllm4rec.stages.made_from.is_made_from", lambda *_, **__: True)
    to = RunDir(tmp_path / "at work").create()
    to.finish("prepare", [], 1.0, refit={"identity": "a", "keep_test": keep_test})
    chosen = {**TRAINED["finetune"], "valid": {}}
    given = ["--run", run.path, "--to", to.path] if command == "refit" else ["--run", to.path]
    lines = printed({**TRAINED, "finetune": chosen}, command, *given)
    assert f"details {to.file('manifest.json')}" in lines
    assert not any("validation" in line for line in lines)
    wanted = "evaluate" if keep_test else "recommend"
    assert following(lines)[:3] == [wanted, "--run", str(to.path)]


def test_evaluate_names_its_page_and_how_the_model_goes_to_work(printed, run, monkeypatch):
    lines = printed({"part": "test", "rows": [ROW]}, "evaluate", "--run", run.path)
    assert f"report {run.file('report.html')}" in lines
    wanted = ["refit", "--run", str(run.path), "--to", f"{run.path}-at-work"]
    assert following(lines) == wanted
    monkeypatch.chdir(run.path)
    lines = printed({"part": "test", "rows": [ROW]}, "evaluate", "--run", ".")
    assert following(lines) == ["refit", "--run", ".", *wanted[3:]]


def test_evaluate_of_what_refit_made_or_of_lists_asks_for_no_other_refit(printed, run, tmp_path):
    result = {"part": "test", "rows": [ROW]}
    lines = printed(result, "evaluate", "--run", run.path, "--topk", tmp_path)
    assert not any("next: " in line or "report" in line for line in lines)
    run.finish("prepare", [], 1.0, refit={"identity": "a", "keep_test": True})
    lines = printed(result, "evaluate", "--run", run.path)
    assert following(lines)[:3] == ["recommend", "--run", str(run.path)]


def test_added_items_are_listed_at_once(printed, run):
    given = ["--run", run.path, "--items", "new.csv"]
    assert following(printed(ADDED, "add-items", *given))[:3] == [
        "recommend",
        "--run",
        str(run.path),
    ]
    assert "next" not in " ".join(printed({**ADDED, "added": 0}, "add-items", *given))


def test_the_demo_is_as_short_as_its_stages(printed, run):
    results = {"part": "test", "rows": [ROW]}
    result = {"prepare": REPORT, "train": TRAINED, "results": results, "report": "R/report.html"}
    lines = printed(result, "demo", "--run", run.path)
    assert "prepare · kept · valid 0" in lines
    assert "train · on validation ndcg@10 0.1250" in lines
    assert not any("power" in line or "seed" in line for line in lines)
    assert following(lines)[:3] == ["recommend", "--run", str(run.path)]


def test_data_are_to_be_prepared(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "SOURCES", {"toy": Path.mkdir})
    with pytest.raises(SystemExit):
        main(["data", "toy", "--to", str(tmp_path / "D")])
    given = following(capsys.readouterr().out.splitlines())
    assert given == ["prepare", "--data", str(tmp_path / "D"), "--run", "runs/toy"]
