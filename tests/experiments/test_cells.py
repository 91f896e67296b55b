"""When a cell counts as computed, and what is dropped."""

import multiprocessing
from dataclasses import replace

import pytest

from cllm4rec import progress
from cllm4rec.config import PAPER, SETS, reported_measures, request_of, resolve
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import ConfigError, IntegrityError
from cllm4rec.experiments import cells as cells_module
from cllm4rec.experiments.cells import begin, cells_of, claimed, finished
from cllm4rec.experiments.data import PreparedData
from cllm4rec.experiments.plan import Plan
from cllm4rec.run import read_json
from support.input_folder import small_log, write_rows
from support.toy_bench import finished_cell

NUM_ITEMS = 60


@pytest.fixture
def done(tmp_path, data):
    return finished_cell(tmp_path, data, "mine", 0)


@pytest.fixture
def notes(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    return lines


def changed(cell, *overrides):
    return replace(cell, config=resolve(request_of(cell.config, overrides), newest_held_out=False))


def test_a_finished_cell_is_found_and_nothing_is_said(done, notes):
    assert finished(done[0], NUM_ITEMS, say=True) == done[1]
    assert notes == []


def test_other_settings_are_another_result_and_that_is_said(done, notes):
    other = changed(done[0], "finetune.learning_rate=0.5")
    assert finished(other, NUM_ITEMS, say=True) is None
    assert notes == [
        "world · mine · seed 0: computed before from other settings "
        "(finetune.learning_rate was 0.001, is 0.5); computing it again"
    ]


def test_other_data_are_another_result_and_that_is_said(done, notes):
    assert finished(replace(done[0], data_sha256="1" * 64), NUM_ITEMS, say=True) is None
    assert "computed before from other data" in notes[0]


@pytest.mark.parametrize("setting", ["threads=3", "evaluate.bootstrap=7", "data.memory_limit=9GB"])
def test_what_no_list_depends_on_does_not_matter(done, setting):
    assert finished(changed(done[0], setting), NUM_ITEMS) is not None


def test_a_baselines_grid_and_seed_are_its_settings(tmp_path, data):
    cell, _record = finished_cell(tmp_path, data, "ease", 0, baseline=True)
    assert finished(cell, NUM_ITEMS) is not None
    assert cell.identity(NUM_ITEMS) != replace(cell, seed=1).identity(NUM_ITEMS)
    assert cell.identity(NUM_ITEMS) != replace(cell, model="popularity").identity(NUM_ITEMS)
    assert cell.settings(NUM_ITEMS)["grid"][0].keys() == {"l2"}


def test_a_missing_list_is_said(done):
    (done[0].folder / "topk.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"topk\.parquet is missing; remove .*cell\.json"):
        finished(done[0], NUM_ITEMS)


def test_an_attempt_goes_on_only_with_the_same_settings_and_data(done):
    cell, _record = done
    made_of = {"identity": cell.identity(NUM_ITEMS)}
    assert not begin(cell, made_of), "there was no attempt"
    assert not (cell.folder / "cell.json").exists(), "whatever else was there is dropped"
    (cell.folder / "half").touch()
    assert begin(cell, made_of)
    assert (cell.folder / "half").exists()
    other = changed(cell, "seed=0", "backbone.depth=1")
    assert not begin(other, {"identity": other.identity(NUM_ITEMS)})
    assert not (cell.folder / "half").exists()
    assert read_json(cell.folder / "begun.json") == {"identity": other.identity(NUM_ITEMS)}


def hold(cell, held, release):
    with claimed(cell) as mine:
        assert mine
        held.set()
        release.wait(30)


def test_only_one_process_computes_a_cell(done, monkeypatch):
    monkeypatch.setattr(cells_module, "PATIENCE_S", 0.2)
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(done[0], held, release))
    process.start()
    assert held.wait(30)
    with claimed(done[0]) as mine:
        assert not mine
    release.set()
    process.join(30)
    with claimed(done[0]) as mine:
        assert mine


@pytest.mark.parametrize(
    ("protocol", "order", "target"),
    [("leave-last-out", "time", "next"), ("paper", "random", "holdout")],
)
def test_a_cells_settings_are_what_the_data_decide(tmp_path, protocol, order, target):
    write_rows(tmp_path / "in", "interactions", small_log(40, 30, 12))
    dataset = Dataset.load(tmp_path / "in", protocol=protocol, folder=tmp_path / "data")
    data = PreparedData("log", dataset.folder, "0" * 64, dataset, protocol)
    plan = Plan.model_validate({
        "datasets": {"log": {"data": "x"}},
        "models": {
            "mine": {"set": ["finetune.epochs=3"]},
            "paper": {"config": "paper"},
            "set": {"set": ["corpus.order=random"]},
        },
    })
    mine, paper, random = (cell.config for cell in cells_of(plan, data, tmp_path))
    assert (mine.corpus.order, mine.finetune.target, mine.finetune.epochs) == (order, target, 3)
    selection = reported_measures(newest_held_out=protocol == "leave-last-out")
    assert paper == PAPER.changed(evaluate={"selection": selection})
    assert random == SETS.changed(evaluate={"selection": selection})


@pytest.mark.parametrize("name", ["cllm4rec", "CLLM4Rec", "cllm4rec without texts"])
def test_what_is_not_the_papers_method_has_not_its_name(data, tmp_path, name):
    def cells(model: dict):
        plan = {"datasets": {"world": {"data": "x"}}, "models": {name: model}}
        return cells_of(Plan.model_validate(plan), data, tmp_path)

    with pytest.raises(ConfigError, match=rf"model '{name}' .*name it 'hybrid', say, or take"):
        cells({})
    assert [cell.model for cell in cells({"config": "paper"})] == [name]


def test_baselines_come_first_and_one_that_draws_nothing_has_one_seed(data, tmp_path):
    plan = Plan.model_validate({
        "seeds": [4, 2],
        "datasets": {"world": {"data": "x"}},
        "models": {"mine": {"set": ["backbone.depth=1"]}},
        "baselines": ["ials", "popularity"],
    })
    found = [
        (cell.model, cell.seed, cell.config is None) for cell in cells_of(plan, data, tmp_path)
    ]
    assert found == [
        *(("ials", 4, True), ("popularity", 4, True), ("mine", 4, False)),
        *(("ials", 2, True), ("mine", 2, False)),
    ]
    last = cells_of(plan, data, tmp_path)[-1]
    assert last.config == resolve(
        request_of("sets", ["seed=2", "backbone.depth=1"]), newest_held_out=False
    )
    assert last.folder == tmp_path / "cells" / "world" / "mine" / "2"
