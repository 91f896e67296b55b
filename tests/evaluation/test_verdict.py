"""A lead that chance explains is called so."""

import re

import numpy as np
import pytest

from cllm4rec.evaluation.intervals import paired_bootstrap_p
from cllm4rec.evaluation.protocol import Report
from cllm4rec.evaluation.verdict import verdict


def report(**per_user) -> Report:
    values = {name: np.asarray(of, float) for name, of in per_user.items()}
    users = np.arange(len(next(iter(values.values()))), dtype=np.int32)
    return Report(users, values, {name: of.mean() for name, of in values.items()}, {}, 0.5, 0)


@pytest.fixture
def rows():
    draw = np.random.default_rng(0)
    low, noise = draw.random(400), draw.normal(0, 0.05, 400)
    ours = report(recall=low + 0.1 + noise, ndcg=low)
    near = report(recall=low - 0.4, ndcg=low + noise / 10)
    return ours, {"low": report(recall=low, ndcg=low - 0.3), "near": near}


def test_the_best_baseline_of_each_measure_is_compared_by_a_paired_test(rows):
    ours, others = rows
    line = verdict("hybrid", ours, others, ["recall", "ndcg"], 500)
    assert line is not None
    assert line.startswith("hybrid beside the best baseline, over 400 users: recall 0.")
    recall, ndcg = line.split(": ")[1].split("; ")
    assert re.fullmatch(r"recall 0\.\d+ above low \(p 0\.002\)", recall)
    assert re.fullmatch(r"ndcg 0\.\d+ (above|below) near \(p .*, not to be told apart\)", ndcg)
    p = paired_bootstrap_p(ours.per_user["ndcg"], others["near"].per_user["ndcg"], 500)
    assert f"(p {p:.2f}, " in ndcg


def test_what_is_worse_is_called_below(rows):
    ours, others = rows
    line = verdict("low", others["low"], {"hybrid": ours}, ["recall"], 500)
    assert line is not None
    assert " below hybrid (p 0.002)" in line


def test_without_anything_to_compare_there_is_none(rows):
    ours, others = rows
    assert verdict("a", ours, {}, ["recall"], 500) is None
    assert verdict("a", ours, others, ["recall"], 0) is None
    nobody = Report(np.empty(0, np.int32), {"recall": np.empty(0)}, {"recall": 0.0}, {}, 0.5, 0)
    assert verdict("a", nobody, {"b": nobody}, ["recall"], 9) is None


def test_the_same_mean_is_level(rows):
    ours, _ = rows
    assert verdict("hybrid", ours, {"same": ours}, ["recall"], 50) == (
        "hybrid beside the best baseline, over 400 users: recall level with same"
    )
