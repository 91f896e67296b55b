"""What validation chose, fitted again: on the same parts it is what was chosen."""

import json

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.mult_vae import MultVae
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.evaluation.selection import Selection
from support.planted_order import write_planted_order

SMALL = {"dims": [8], "dropouts": [0.2]}
GIVEN = {
    "popularity": {},
    "item-knn": {},
    "ease": {},
    "ease-text": {},
    "ease-text-order": {},
    "sasrec": SMALL,
    "sasrec-hybrid": {**SMALL, "reader": {"depth": 0}},
    "sasrec-hybrid-text": {**SMALL, "reader": {"depth": 0}},
    "mult-vae": {},
}
"""Name → settings: every `refitted` there is, and those that inherit one."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("order")
    write_planted_order(folder / "in", users=60, items=20, each=6)
    with progress.quiet():
        return Dataset.load(folder / "in", protocol="leave-last-out", folder=folder / "data")


def context_of(dataset, *, selection=None) -> Context:
    words = [f"kind{number % 5} common word" for number in range(len(dataset.items))]
    return Context(len(words), words, 0, ordered=True, newest_held_out=True, selection=selection)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(SasRec, "epochs", (1, 2))
    monkeypatch.setattr(MultVae, "epochs", (1, 2))


def scores(scorer, dataset):
    users = np.arange(len(dataset.users), dtype=np.int32)
    return scorer.score(users, dataset.known("test"))


@pytest.mark.parametrize("name", GIVEN)
def test_the_same_parts_give_the_same_scores(name, dataset):
    selection = Selection.of(dataset, ("recall@10", "ndcg@10"), 0)
    baseline, train = baseline_named(name, GIVEN[name]), dataset.part("train")
    context = context_of(dataset, selection=selection)
    with progress.quiet():
        tuned = tune(baseline, train, selection, context)
        kept = json.loads(json.dumps(baseline.chosen(tuned.settings, tuned.scorer)))
        again = baseline_named(name, GIVEN[name]).refitted(kept, train, context_of(dataset))
        more = baseline.refitted(kept, dataset.known("test"), context_of(dataset))
    np.testing.assert_allclose(
        scores(again, dataset), scores(tuned.scorer, dataset), rtol=1e-5, atol=1e-6
    )
    assert not np.array_equal(scores(more, dataset), scores(again, dataset)), "more was seen"


@pytest.mark.parametrize("windows", [False, True])
def test_windows_are_fitted_again_too(windows, dataset):
    baseline, train = baseline_named("ease-text-order"), dataset.part("train")
    point = {"l2": 50.0, "alpha": 3.0, "transitions": 0.0, "decay": 1.0}
    found = baseline.refitted({**point, "windows": windows}, train, context_of(dataset))
    solver = baseline.solver(train, context_of(dataset), point)
    whole = next(iter(solver.fits([(50.0, 3.0)])))
    wanted = solver.windowed(50.0, 3.0) if windows else whole
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-5, atol=1e-6)
    assert np.abs(solver.windowed(50.0, 3.0).weights - whole.weights).max() > 1e-3


@pytest.mark.parametrize("name", ["item-knn", "sasrec"])
def test_settings_that_nobody_tried_are_refused(name, dataset):
    with pytest.raises(InputError, match=f"{name} has no .* of the settings"):
        baseline_named(name, GIVEN[name]).refitted(
            {"k": 3, "shrink": 1}, dataset.part("train"), context_of(dataset)
        )
