"""The table's numbers, from lists that nobody computed."""

from statistics import mean, stdev

import numpy as np
import pytest

from cllm4rec.evaluation.intervals import bootstrap_interval, paired_bootstrap_p
from cllm4rec.experiments.table import METRICS, adjust_for_data_sets, measure, rows_of
from cllm4rec.ranking import RankedItems
from reference.metrics import ndcg_at, recall_at
from support.toy_bench import finished_cell, some_lists

BOOTSTRAP = 60


@pytest.fixture(scope="module")
def cells(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cells")
    halves = {"": 0.3, "language model": 0.2, "linear model": 0.1}
    return [
        finished_cell(folder, data, "mine", 0, skills=halves),
        finished_cell(folder, data, "mine", 1, skills=halves, resumed=True),
        finished_cell(folder, data, "popularity", 0, skills={"": 0.05}, baseline=True),
        finished_cell(folder, data, "ease", 0, skills={"": 0.2}, baseline=True),
    ]


@pytest.fixture(scope="module")
def rows(data, cells):
    return {row["model"]: row for row in rows_of(data, measure(data, cells), BOOTSTRAP)}


def values(data, cell, metric: str, half: str = "") -> np.ndarray:
    """Per-user values, by the slow reference."""
    dataset, (cell, record) = data.dataset, cell
    path = cell.folder / record["lists"][half]
    ranked = RankedItems.read(path, dataset.users, dataset.items, 100)
    function, k = (
        {"recall": recall_at, "ndcg": ndcg_at}[metric.split("@")[0]],
        int(metric.split("@")[1]),
    )
    test = dataset.part("test")
    pairs = zip(ranked.users, ranked.items.tolist(), strict=True)
    return np.array([function(items, set(test.of(user).tolist()), k) for user, items in pairs])


def test_rows_keep_the_order_and_name_halves(rows):
    assert list(rows) == [
        *("mine", "mine · language model", "mine · linear model"),
        *("popularity", "ease"),
    ]
    kinds = [row["kind"] for row in rows.values()]
    assert kinds == ["model", "half", "half", "baseline", "baseline"]


@pytest.mark.parametrize("metric", METRICS)
def test_means_intervals_and_spread(data, cells, rows, metric):
    first, second = (values(data, cell, metric) for cell in cells[:2])
    found = rows["mine"]["metrics"][metric]
    assert found["mean"] == pytest.approx((first.mean() + second.mean()) / 2)
    interval = bootstrap_interval((first + second) / 2, BOOTSTRAP)
    assert (found["low"], found["high"]) == pytest.approx(interval)
    assert found["seed_sd"] == pytest.approx(stdev([first.mean(), second.mean()]))
    assert rows["ease"]["metrics"][metric]["seed_sd"] is None
    assert rows["mine"]["users"] == len(first)


@pytest.mark.parametrize("metric", METRICS)
def test_p_compares_the_seeds_mean_with_the_best_baseline(data, cells, rows, metric):
    mine = np.mean([values(data, cell, metric) for cell in cells[:2]], axis=0)
    popularity, ease = (values(data, cell, metric) for cell in cells[2:])
    assert ease.mean() > popularity.mean()
    found = rows["mine"]["metrics"][metric]
    assert found["best_baseline"] == "ease"
    assert found["p"] == paired_bootstrap_p(mine, ease, BOOTSTRAP)
    assert found["p"] != paired_bootstrap_p(mine, popularity, BOOTSTRAP) or found["p"] < 0.05
    assert found["difference"] == pytest.approx(mine.mean() / ease.mean() - 1)
    theirs = rows["popularity"]["metrics"][metric]
    assert theirs["p"] == paired_bootstrap_p(popularity, ease, BOOTSTRAP)
    assert theirs["difference"] < 0
    best = rows["ease"]["metrics"][metric]
    assert (best["p"], best["difference"], best["best_baseline"]) == (None, None, "ease")


def test_a_half_is_measured_from_its_own_lists(data, cells, rows):
    halves = [values(data, cell, "recall@20", "linear model").mean() for cell in cells[:2]]
    found = rows["mine · linear model"]
    assert found["metrics"]["recall@20"]["mean"] == pytest.approx(mean(halves))
    assert (found["seconds"], found["peak_mb"]) == (None, None)


def test_seconds_are_a_mean_and_memory_is_the_largest(rows):
    assert (rows["mine"]["seconds"], rows["mine"]["peak_mb"]) == (10.5, 101.0)
    assert rows["mine"]["seconds_at_least"], "one of the cells was interrupted"
    assert not rows["ease"]["seconds_at_least"]


def test_slices_are_averaged_over_seeds_too(data, cells, rows):
    mine = {(s["by"], s["slice"], s["metric"]): s for s in rows["mine"]["slices"]}
    alone = [rows_of(data, measure(data, [cell]), BOOTSTRAP)[0]["slices"] for cell in cells[:2]]
    for parts in zip(*alone, strict=True):
        key = tuple(parts[0][name] for name in ("by", "slice", "metric"))
        assert mine[key]["mean"] == pytest.approx(mean(part["mean"] for part in parts))
        assert mine[key]["users"] == parts[0]["users"]
        assert mine[key]["low"] <= mine[key]["mean"] <= mine[key]["high"]


def test_without_a_baseline_nothing_is_compared(data, cells):
    found = rows_of(data, measure(data, cells[:1]), BOOTSTRAP)[0]["metrics"]["recall@20"]
    assert (found["best_baseline"], found["p"], found["difference"]) == (None, None, None)


def test_nothing_finished_is_no_row(data):
    assert rows_of(data, measure(data, []), BOOTSTRAP) == []


def test_the_helpers_lists_differ_by_seed(data):
    first, second = (some_lists(data.dataset, seed).items for seed in (0, 1))
    assert (first != second).any()


def test_p_is_corrected_over_the_data_sets_of_a_model(data, cells):
    first = rows_of(data, measure(data, cells), BOOTSTRAP)
    second = [
        {**row, "dataset": "other", "metrics": {m: dict(v) for m, v in row["metrics"].items()}}
        for row in rows_of(data, measure(data, cells), BOOTSTRAP)
    ]
    for row in second:
        for found in row["metrics"].values():
            found["p"] = found["p"] and 0.001
    adjust_for_data_sets([*first, *second])
    for metric in METRICS:
        here, there = (rows[0]["metrics"][metric] for rows in (first, second))
        assert there["p_holm"] == pytest.approx(0.002)
        assert here["p_holm"] == pytest.approx(max(0.002, here["p"]))
        assert first[-1]["metrics"][metric]["p_holm"] is None


def test_an_untrained_start_and_a_half_alone_are_said(tmp_path, data):
    chosen = {"best_epoch": 0, "blend": 0.5, "linear": True, "start": {}}
    halves = {"": 0.3, "language model": 0.2, "linear model": 0.1}
    cells = [
        finished_cell(tmp_path, data, "mine", 0, skills=halves, chosen=chosen),
        finished_cell(tmp_path, data, "mine", 1, skills=halves),
        finished_cell(tmp_path, data, "yours", 0, chosen={**chosen, "blend": 1.0}),
        finished_cell(tmp_path, data, "theirs", 0, chosen={**chosen, "blend": 0.0}),
        finished_cell(
            tmp_path, data, "theirs", 1, chosen={**chosen, "best_epoch": 3, "blend": 0.0}
        ),
    ]
    notes = {row["model"]: row["note"] for row in rows_of(data, measure(data, cells), BOOTSTRAP)}
    assert notes == {
        "mine": "untrained start in 1 of 2 seeds",
        "mine · language model": "untrained start in 1 of 2 seeds",
        "mine · linear model": "",
        "yours": "linear model alone",
        "theirs": "untrained start in 1 of 2 seeds, language model alone",
    }
