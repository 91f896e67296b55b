"""The bench as a whole, on a toy: what is computed, what is not, and what is said of failures."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.cli import main
from cllm4rec.errors import InputError
from cllm4rec.experiments.cells import Cell, claimed
from cllm4rec.experiments.data import prepare_data
from cllm4rec.experiments.plan import load_plan
from cllm4rec.experiments.process import Outcome, compute
from cllm4rec.experiments.quality import quality
from support.toy_bench import write_toy_plan

# The package's name for it is the function.
MODULE = importlib.import_module("cllm4rec.experiments.quality")
COST = {"seconds", "seconds_at_least", "peak_mb"}
LISTS = ["", "language model", "linear model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def plan_file(folder, backbone) -> Path:
    return write_toy_plan(folder, backbone)


@pytest.fixture
def here(monkeypatch) -> None:
    """Cells are computed in this process, which has loaded what each would load; `whole`'s are not.

    A cell that another process has claimed is not computed.
    """

    def claim_and_compute(cell: Cell) -> Outcome:
        with claimed(cell) as mine:
            assert mine
            return compute(cell)

    monkeypatch.setattr(MODULE, "compute_in_subprocess", claim_and_compute)


@pytest.fixture(scope="module")
def whole(folder, plan_file):
    with progress.quiet():
        return quality(load_plan(plan_file), folder / "whole")


@pytest.mark.usefixtures("here")
def test_p_is_corrected_over_the_data_sets(folder, plan_file):
    plan = load_plan(plan_file)
    [(name, data)] = plan.datasets.items()
    only = {"models": {}, "baselines": ["popularity", "ease"]}
    twice = plan.model_copy(update={**only, "datasets": {name: data, "again": data}})
    with progress.quiet():
        rows = quality(twice, folder / "twice")["rows"]
    tested = [row["metrics"]["recall@20"] for row in rows if row["model"] == "popularity"]
    assert len(tested) == 2
    for found in tested:  # the same data twice: the same p, and twice that where two are tested
        assert found["p_holm"] == pytest.approx(min(1.0, 2 * found["p"]))


def stamps(out: Path) -> dict[str, int]:
    found = (out / "cells").rglob("*")
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in found if p.is_file()}


def without_cost(table):
    rows = [{key: row[key] for key in row.keys() - COST} for row in table["rows"]]
    return {**table, "rows": rows}


def start(plan_file: Path, out: Path) -> subprocess.Popen:
    program = "from cllm4rec.cli import main; main()"
    command = [sys.executable, "-c", program, "bench", "quality", plan_file, "--out", out]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_every_cell_has_its_rows_and_files(folder, whole):
    assert [(row["model"], row["seeds"]) for row in whole["rows"]] == [
        ("tiny", [0, 1]),
        ("tiny · language model", [0, 1]),
        ("tiny · linear model", [0, 1]),
        ("popularity", [0]),
        ("ease", [0]),
    ]
    assert whole["failed"] == whole["left_out"] == whole["missing"] == []
    out = folder / "whole"
    assert json.loads((out / "table.json").read_text()) == whole
    for name in ("table.md", "slices.md", "plot.png", "plot.svg"):
        assert (out / name).stat().st_size > 500
    cell = out / "cells" / "planted" / "tiny" / "0"
    names = {"begun.json", "cell.json", "config.toml", "metrics.jsonl", "topk.parquet"}
    halves = {"topk-language-model.parquet", "topk-linear-model.parquet"}
    assert {path.name for path in cell.iterdir()} == names | halves
    assert pq.read_table(cell / "topk.parquet")["rank"].to_pylist()[:3] == [1, 2, 3]
    record = json.loads((cell / "cell.json").read_text())
    assert list(record["lists"]) == LISTS
    expected = {"best_epoch", "blend", "blend_by_length", "linear", "linear_model", "start"}
    assert record["chosen"].keys() == expected
    # A process that loads torch needs some 200 MB; one that trains a toy needs not much more.
    assert 100 < record["peak_mb"] < 2000
    ease = json.loads((out / "cells" / "planted" / "ease" / "0" / "cell.json").read_text())
    assert ease["peak_mb"] < record["peak_mb"] - 50, "a baseline's process is without torch"


@pytest.mark.slow
def test_a_second_call_computes_nothing_and_says_the_same(folder, whole, plan_file, monkeypatch):
    before = stamps(folder / "whole")
    monkeypatch.setattr(MODULE, "compute_in_subprocess", None)
    assert quality(load_plan(plan_file), folder / "whole") == whole
    assert stamps(folder / "whole") == before


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_killed_bench_goes_on_to_the_same_table(folder, whole, plan_file):
    out = folder / "killed"
    cells = out / "cells" / "planted"
    for awaited in ("ease/0/cell.json", "tiny/0/begun.json", "tiny/0/run/metrics.jsonl"):
        process = start(plan_file, out)
        while not (cells / awaited).exists() and process.poll() is None:
            time.sleep(0.005)
        assert process.poll() is None, process.stderr.read().decode()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert not (cells / "tiny/0/cell.json").exists()
    before = stamps(out)
    with progress.quiet():
        resumed = quality(load_plan(plan_file), out)
    assert without_cost(resumed) == without_cost(whole)
    after = stamps(out)
    for name in ("popularity/0", "ease/0"):
        for path in (cells / name).iterdir():
            key = str(path.relative_to(out))
            assert after[key] == before[key], f"{key} was computed again"
    assert resumed["rows"][0]["seconds_at_least"]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_changed_settings_compute_that_cell_alone_again(folder, whole, backbone, tmp_path, capsys):
    out = shutil.copytree(folder / "whole", tmp_path / "out")
    path = write_toy_plan(tmp_path, backbone)
    path.write_text(path.read_text().replace("finetune.epochs=1", "finetune.epochs=2"))
    before = stamps(out)
    stale = quality(load_plan(path), out, only_models=["ease"])
    assert stale["missing"] == [
        {"dataset": "planted", "model": "tiny", "seed": seed} for seed in (0, 1)
    ], "what was computed from other settings is no part of the table"
    assert stamps(out) == before
    again = quality(load_plan(path), out)
    said = capsys.readouterr().err
    assert "planted · tiny · seed 1: computed before from other settings" in said
    assert "(finetune.epochs was 1, is 2); computing it again" in said
    after = stamps(out)
    assert {name.split("/")[2] for name in before if before[name] != after.get(name)} == {"tiny"}
    assert [row["model"] for row in again["rows"]] == [row["model"] for row in whole["rows"]]


@pytest.fixture
def failing(tmp_path, backbone) -> Path:
    """A plan with a model that has no backbone, and data that cannot be split in time."""
    broken = "\n[models.broken]\nset = ['backbone.name=\"/no/such\"']\n"
    dataless = '\n[datasets.empty]\ndata = "empty"\n'
    (tmp_path / "empty").mkdir()
    path = write_toy_plan(tmp_path, backbone, broken + dataless)
    text = path.read_text().replace("seeds = [0, 1]", "seeds = [0]").replace(', "ease"', "")
    path.write_text(text.replace("[models.tiny]", "[models.unused]"))
    return path


@pytest.mark.slow
def test_what_fails_is_in_the_table_and_the_others_go_on(failing, tmp_path, capsys):
    arguments = ["bench", "quality", str(failing), "--out", str(tmp_path / "out")]
    chosen = ["--only-models", "broken", "--only-models", "popularity"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *chosen, "--json"])
    assert end.value.code == 1
    out, err = capsys.readouterr()
    table = json.loads(out)
    assert out.count("\n") == 1
    assert [row["model"] for row in table["rows"]] == ["popularity"]
    of_data, of_cell = table["failed"]
    assert (of_data["dataset"], of_data["model"]) == ("empty", None)
    assert "interactions" in of_data["reason"]
    assert (of_cell["dataset"], of_cell["model"], of_cell["seed"]) == ("planted", "broken", 0)
    assert "/no/such" in of_cell["reason"]
    assert "\n" not in of_cell["reason"]
    assert "cell 1 of 2: planted · popularity · seed 0" in err
    page = (tmp_path / "out" / "table.md").read_text()
    assert f"failed: {of_cell['reason']}" in page
    with pytest.raises(SystemExit) as end:
        main(["bench", "quality", str(failing), "--out", str(tmp_path / "out"), *chosen])
    assert end.value.code == 1
    assert capsys.readouterr().out == page


def test_a_baseline_that_cannot_be_had_is_left_out(tmp_path, backbone, monkeypatch, capsys):
    path = write_toy_plan(tmp_path, backbone)
    path.write_text(path.read_text().replace('"ease"', '"ials"'))
    outcome = Outcome("left out", "not installed")
    monkeypatch.setattr(MODULE, "compute_in_subprocess", lambda cell: outcome)
    table = quality(load_plan(path), tmp_path / "out", only_models=["ials"])
    assert [(entry["model"], entry["seed"]) for entry in table["left_out"]] == [
        *(("ials", 0), ("ials", 1))
    ]
    assert table["failed"] == []
    assert "planted · ials · seed 0: left out: not installed" in capsys.readouterr().err
    assert len(table["missing"]) == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"only_models": ["full"]}, "no model or baseline 'full' in the plan; there are tiny, pop"),
        ({"only_datasets": ["x"]}, "no data set 'x' in the plan; there are planted"),
    ],
)
def test_names_to_filter_by_must_be_the_plans(tmp_path, backbone, names, message):
    with pytest.raises(InputError, match=message):
        quality(load_plan(write_toy_plan(tmp_path, backbone)), tmp_path / "out", **names)


def test_data_are_prepared_once_and_again_when_they_change(tmp_path, backbone, capsys):
    path, out = write_toy_plan(tmp_path, backbone), tmp_path / "out"
    first = prepare_data(load_plan(path), "planted", out)
    stamp = (first.folder / "report.json").stat().st_mtime_ns
    again = prepare_data(load_plan(path), "planted", out)
    assert (again.sha256, (again.folder / "report.json").stat().st_mtime_ns) == (
        first.sha256,
        stamp,
    )
    (tmp_path / "source" / "README.md").write_text("no matter")
    assert prepare_data(load_plan(path), "planted", out).sha256 == first.sha256
    assert (first.folder / "report.json").stat().st_mtime_ns == stamp
    path.write_text(path.read_text().replace('split = "source/split.parquet"', ""))
    other = prepare_data(load_plan(path), "planted", out)
    assert other.sha256 != first.sha256
    assert other.splitting == "paper"
    assert "planted: the data, or how they are read, changed" in capsys.readouterr().err
    (other.folder / "parts.npy").write_bytes(b"damaged")
    assert prepare_data(load_plan(path), "planted", out).sha256 == other.sha256


def test_a_known_source_is_fetched_once(tmp_path, backbone):
    path = write_toy_plan(tmp_path, backbone)
    lines = path.read_text().replace('"source"', '"planted-world"').splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("split")))
    prepare_data(load_plan(path), "planted", tmp_path / "out")
    file = tmp_path / "out" / "sources" / "planted-world" / "interactions.parquet"
    stamp = file.stat().st_mtime_ns
    prepare_data(load_plan(path), "planted", tmp_path / "out")
    assert file.stat().st_mtime_ns == stamp
