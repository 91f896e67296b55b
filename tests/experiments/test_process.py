"""One cell: what it leaves, and every way in which its process can end."""

from dataclasses import replace

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.baselines.ials import IAls
from cllm4rec.experiments.cells import Cell, cells_of
from cllm4rec.experiments.data import prepare_data
from cllm4rec.experiments.plan import load_plan
from cllm4rec.experiments.process import Outcome, _death, compute, compute_in_subprocess, peak_mb
from cllm4rec.run import RunDir, read_json
from cllm4rec.stages.train import train
from support.toy_bench import write_toy_plan


@pytest.fixture(scope="module")
def cells(tmp_path_factory, backbone) -> dict[str, Cell]:
    folder = tmp_path_factory.mktemp("process")
    plan = load_plan(write_toy_plan(folder, backbone))
    data = prepare_data(plan, "planted", folder / "out")
    return {cell.model: cell for cell in cells_of(plan, data, folder / "out") if cell.seed == 0}


def test_a_baseline_leaves_its_lists_and_the_settings_chosen(cells):
    with progress.quiet():
        assert compute(cells["ease"]) == Outcome("done")
    record = read_json(cells["ease"].folder / "cell.json")
    assert record["lists"] == {"": "topk.parquet"}
    assert record["chosen"].keys() >= {"l2"}
    assert record["seconds"] > 0
    assert not record["resumed"]


def test_a_model_leaves_its_lists_and_its_log_but_not_its_run(cells):
    with progress.quiet():
        assert compute(cells["tiny"]) == Outcome("done")
    folder = cells["tiny"].folder
    record = read_json(folder / "cell.json")
    assert all((folder / name).is_file() for name in record["lists"].values())
    assert len(record["lists"]) == 3
    assert not (folder / "run").exists()
    assert (folder / "metrics.jsonl").stat().st_size > 100


def test_a_run_of_before_there_were_weights_by_length_is_a_cell_too(cells, monkeypatch):
    """A bench that was interrupted, and goes on with this version."""

    def earlier(*given):
        trained = train(*given)
        finetune = dict(trained["finetune"])
        del finetune["blend_by_length"]
        return {**trained, "finetune": finetune}

    monkeypatch.setattr("cllm4rec.stages.train.train", earlier)
    with progress.quiet():
        assert compute(cells["tiny"]) == Outcome("done")
    assert read_json(cells["tiny"].folder / "cell.json")["chosen"]["blend_by_length"] is None


def test_a_run_can_be_kept(cells):
    with progress.quiet():
        compute(replace(cells["tiny"], keep_run=True))
    assert RunDir(cells["tiny"].folder / "run").is_done("finetune")
    assert read_json(cells["tiny"].folder / "cell.json")["resumed"], "an attempt had begun"


def test_what_cannot_be_had_leaves_nothing(cells, monkeypatch):
    monkeypatch.setattr(IAls, "unavailable", lambda self, context: "not\ninstalled")
    cell = replace(cells["ease"], model="ials", folder=cells["ease"].folder.with_name("ials"))
    assert compute(cell) == Outcome("left out", "not installed")
    assert not cell.folder.exists()


def test_the_peak_is_that_of_this_process_and_never_falls():
    before = peak_mb()
    used = np.ones(40_000_000)
    grown = peak_mb()
    assert grown > before + 200 or grown > 1000, "320 MB more, or there was room below the peak"
    del used
    assert peak_mb() >= grown - 5, "the kernel counts in steps"


def test_another_processes_memory_is_its_own(cells):
    used = np.ones(100_000_000)
    assert compute_in_subprocess(cells["popularity"]) == Outcome("done")
    assert read_json(cells["popularity"].folder / "cell.json")["peak_mb"] < used.nbytes / 1e6


@pytest.mark.parametrize("fault", ["items.npy", "no such baseline"])
def test_what_goes_wrong_is_one_line(cells, tmp_path, fault, capfd):
    cell = replace(cells["popularity"], folder=tmp_path / "cells" / "0", data=tmp_path)
    if fault == "no such baseline":
        cell = replace(cell, model=fault, data=cells["popularity"].data)
    state, reason = compute_in_subprocess(cell)
    assert state == "failed"
    assert "\n" not in reason
    out, err = capfd.readouterr()
    assert out == ""
    if fault == "no such baseline":
        assert reason.startswith("setting evaluate.baselines: no baseline 'no such baseline'; ")
    else:
        assert "report.json is missing" in reason
    assert "Traceback" not in err


def test_a_process_that_says_nothing_is_a_failure():
    assert _death(-9) == "its process was ended by SIGKILL; perhaps the memory was used up"
    assert _death(-15) == "its process was ended by SIGTERM"
    assert _death(3) == "its process ended with exit code 3 and said nothing"
