"""A bench that fits everything once more on training and validation part."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from cllm4rec import progress
from cllm4rec.baselines.popularity import Popularity
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import ConfigError
from cllm4rec.evaluation.protocol import DEPTH
from cllm4rec.experiments.cells import cells_of
from cllm4rec.experiments.data import prepare_data
from cllm4rec.experiments.plan import load_plan
from cllm4rec.experiments.process import compute, compute_in_subprocess
from cllm4rec.experiments.quality import quality
from cllm4rec.ranking import RankedItems
from cllm4rec.run import RunDir, read_json
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.refit import merge, refit
from support.toy_bench import finished_cell, write_toy_plan

MODULE = importlib.import_module("cllm4rec.experiments.quality")
HYPOTHESIS = """
[[hypotheses]]
better = "tiny, refit"
than = "tiny"

[[hypotheses]]
better = "tiny, refit · linear model"
than = "ease, refit"
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory, backbone):
    path = write_toy_plan(tmp_path_factory.mktemp("refit"), backbone, HYPOTHESIS)
    text = path.read_text().replace("seeds = [0, 1]", "seeds = [0]\nrefit = true")
    learning = [
        "model.warm_start=none",
        "finetune.epochs=3",
        "finetune.learning_rate=0.02",
        "finetune.holdout=0.5",
        "finetune.average=0",
    ]
    path.write_text(text.replace('"finetune.epochs=1"', str(learning)[1:-1]))
    return load_plan(path)


@pytest.fixture(scope="module")
def out(plan, tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """Labels of the cells that are computed, here instead of in processes of their own."""
    labels: list[str] = []

    def compute_here(cell):
        labels.append(cell.label)
        return compute(replace(cell, keep_run=True))

    monkeypatch.setattr(MODULE, "compute_in_subprocess", compute_here)
    return labels


@pytest.fixture
def table(plan, out, computed):
    with progress.quiet():
        return quality(plan.model_copy(update={"keep_runs": True}), out)


def test_every_row_is_there_twice_and_computed_once(table, computed, plan, out):
    names = ["tiny", "tiny · language model", "tiny · linear model"]
    again = [name.replace("tiny", "tiny, refit") for name in names]
    baselines = ["popularity", "popularity, refit", "ease", "ease, refit"]
    assert [row["model"] for row in table["rows"]] == [*names, *again, *baselines]
    for row in table["rows"]:
        best = {found["best_baseline"] for found in row["metrics"].values()}
        assert all(", refit" in name for name in best) == (", refit" in row["model"]), (
            "compared with what was fitted on the same parts"
        )
    pairs = {(test["better"], test["than"]) for test in table["hypotheses"]}
    assert len(pairs) == 2
    first = len(computed)
    with progress.quiet():
        assert quality(plan.model_copy(update={"keep_runs": True}), out) == table
    assert len(computed) == first


def test_it_is_what_refit_makes_of_the_run(table, out, tmp_path):
    cell = out / "cells" / "planted" / "tiny" / "0"
    assert read_json(cell / "cell.json")["chosen"]["best_epoch"] > 0
    again = RunDir(tmp_path / "again")
    with progress.quiet():
        refit(RunDir(cell / "run"), again, keep_test=True)
    ours = load_file(cell / "refit" / "run" / "model" / "model.safetensors")
    theirs = load_file(again.file("model", "model.safetensors"))
    assert ours.keys() == theirs.keys()
    for name, table in ours.items():
        np.testing.assert_array_equal(table, theirs[name])
    before = load_file(cell / "run" / "model" / "model.safetensors")
    assert any(not np.array_equal(before[name], ours[name]) for name in ours), "it saw more"


def test_baselines_see_the_validation_part(table, out):
    dataset = Dataset.open(out / "data" / "planted" / "prepared")
    cell = out / "cells" / "planted" / "popularity" / "0" / "refit"
    lists = RankedItems.read(cell / "topk.parquet", dataset.users, dataset.items, DEPTH)
    counts = dataset.known("test").item_counts()
    assert not np.array_equal(counts, dataset.part("train").item_counts())
    for row in lists.items:
        found = counts[row[row >= 0]]
        assert (np.diff(found.astype(int)) <= 0).all()


def test_what_the_first_chose_is_part_of_what_the_second_depends_on(tmp_path, data):
    cell, record = finished_cell(tmp_path, data, "mine", 0)
    again = cell.refit(record)
    assert (again.label, again.folder) == ("world · mine, refit · seed 0", cell.folder / "refit")
    other = cell.refit({**record, "chosen": {**record["chosen"], "blend": 0.25}})
    assert len({each.identity(60) for each in (cell, again, other)}) == 3


def test_without_refit_no_hypothesis_names_it(tmp_path, backbone):
    path = write_toy_plan(tmp_path, backbone, HYPOTHESIS)
    with pytest.raises(ConfigError, match="names 'tiny, refit', which is no row of the plan"):
        load_plan(path)


def test_what_cannot_be_fitted_again_is_said(plan, out, table, tmp_path, monkeypatch):
    """Settings that the code no longer tries: the cell fails, and with a reason."""
    data = prepare_data(plan, "planted", out)
    cell = next(c for c in cells_of(plan, data, out) if c.model == "ease")
    record = read_json(cell.folder / "cell.json")
    lost = replace(cell, model="item-knn", folder=tmp_path / "cells" / "0")
    lost = replace(lost.refit(record), chosen={"k": 3, "shrink": 1})
    state, reason = compute_in_subprocess(lost)
    assert state == "failed"
    assert reason.startswith("item-knn has no candidate of the settings {'k': 3")
    assert "\n" not in reason


def test_baselines_see_what_models_see_where_users_are_held_out(tmp_path, backbone, monkeypatch):
    """Histories of the users who are measured are asked from, and trained on by no row."""
    path = write_toy_plan(tmp_path, backbone)
    path.write_text(
        path.read_text().replace('split = "source/split.parquet"', 'protocol = "new-users"')
    )
    plan, seen = load_plan(path), []
    data = prepare_data(plan, "planted", tmp_path / "out")
    refitted = Popularity.refitted

    def noted(self, chosen, train, context):
        seen.append(train)
        return refitted(self, chosen, train, context)

    monkeypatch.setattr(Popularity, "refitted", noted)
    cell = next(c for c in cells_of(plan, data, tmp_path / "out") if c.model == "popularity")
    with progress.quiet():
        compute(cell)
        compute(cell.refit(read_json(cell.folder / "cell.json")))
    (train,) = seen
    assert not (train.counts() * data.dataset.part("test").counts()).any()
    (tmp_path / "model").mkdir()
    by_model = merge(data.folder, tmp_path / "model", Chosen({}, None, 0, 0.0), keep_test=True)
    assert len(data.dataset.part("history")) > len(by_model.part("history")) > 0
    np.testing.assert_array_equal(train.offsets, by_model.part("train").offsets)
    np.testing.assert_array_equal(train.items, by_model.part("train").items)
