"""Hypotheses of a plan: two rows compared as they were named, whichever baseline is best."""

import numpy as np
import pytest

from cllm4rec.evaluation.intervals import paired_bootstrap_p
from cllm4rec.experiments.hypotheses import adjust_within_hypotheses, outcomes_of
from cllm4rec.experiments.plan import Hypothesis
from cllm4rec.experiments.table import measure
from support.toy_bench import finished_cell

BOOTSTRAP = 60


@pytest.fixture(scope="module")
def measured(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cells")
    halves = {"": 0.3, "linear model": 0.1}
    return measure(
        data,
        [
            finished_cell(folder, data, "mine", 0, skills=halves),
            finished_cell(folder, data, "mine", 1, skills=halves),
            finished_cell(folder, data, "popularity", 0, skills={"": 0.1}, baseline=True),
            finished_cell(folder, data, "ease", 0, skills={"": 0.9}, baseline=True),
        ],
    )


def test_the_named_rival_is_compared_and_not_the_best(measured):
    hypothesis = Hypothesis(better="mine", than="popularity", metrics=["recall@10"])
    [found] = outcomes_of([hypothesis], "world", measured, BOOTSTRAP)
    rows = {row.name: row.by_seed["recall@10"] for row in measured}
    mine, [rival] = np.mean(rows["mine"], axis=0), rows["popularity"]
    assert found["p"] == paired_bootstrap_p(mine, rival, BOOTSTRAP)
    assert found["difference"] == pytest.approx(mine.mean() / rival.mean() - 1)
    assert found["difference"] > 0 > mine.mean() / np.mean(rows["ease"]) - 1
    assert found["seeds"] == [[0, 1], [0]]


def test_measures_are_the_reported_ones_and_halves_have_names(measured):
    hypothesis = Hypothesis(better="mine · linear model", than="popularity")
    found = outcomes_of([hypothesis], "world", measured, BOOTSTRAP)
    assert [test["metric"] for test in found] == ["recall@20", "recall@40", "ndcg@100"]


@pytest.mark.parametrize(
    "other", [{"datasets": ["elsewhere"]}, {"than": "ials"}], ids=["data set", "row"]
)
def test_what_is_not_there_is_not_tested(measured, other):
    hypothesis = Hypothesis.model_validate({"better": "mine", "than": "popularity", **other})
    assert outcomes_of([hypothesis], "world", measured, BOOTSTRAP) == []


def test_holms_correction_is_over_one_hypothesis_alone():
    def test_of(than: str, dataset: str, p: float):
        return {"better": "mine", "than": than, "dataset": dataset, "metric": "recall@10", "p": p}

    tests = [test_of("a", "x", 0.01), test_of("a", "y", 0.03), test_of("b", "x", 0.04)]
    adjust_within_hypotheses(tests)
    assert [test["p_holm"] for test in tests] == pytest.approx([0.02, 0.03, 0.04])
