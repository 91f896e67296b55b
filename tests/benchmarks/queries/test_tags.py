"""Held-out tags: a slow count of what is found, and a whole table on a planted shop."""

import math

import numpy as np
import pytest

from benchmarks.queries.table import ours_beside, table
from benchmarks.queries.tags import K, compared, measured, recall
from cllm4rec import progress
from support.input_folder import write_rows

KINDS = ["red", "green", "blue", "old", "new", "small"]


def test_recall_counts_what_is_listed_with_a_score():
    scores = np.zeros(60, np.float32)
    scores[[3, 5, 40]] = 2, 1, 3
    assert recall(scores, np.array([3, 40, 59])) == pytest.approx(2 / 3)
    scores = np.arange(60, dtype=np.float32)
    relevant = np.arange(25, 60)  # more than are listed
    listed = sorted(range(60), key=lambda item: -scores[item])[:K]
    assert recall(scores, relevant) == len(set(listed) & set(relevant.tolist())) / K
    scores[59] = -np.inf  # of the history
    assert recall(scores, np.array([59])) == 0


def test_weight_and_lift_are_chosen_on_other_tags():
    tags = [f"t{n}" for n in range(10)]
    found = {
        "popular": {(1.0, 0.0): dict.fromkeys(tags, 0.1), (1.0, 2.0): dict.fromkeys(tags, 0.2)}
    }
    result = measured(found, tags)["popular"]
    assert result["chosen"] == [(1.0, 2.0)] * 3
    assert all(len(of) == 2 for of in result["values"])
    for split, of in enumerate(result["values"]):
        order = np.random.default_rng(split).permutation(10)
        assert set(of) == {tags[n] for n in order[:2]}
    same = compared(result["values"], result["values"])
    assert (same["low"], same["p"]) == (0, 1)


def test_p_is_of_the_gap_between_tags():
    gaps = np.random.default_rng(1).normal(0.1, 0.25, 40)
    ours = [{f"t{n}": 0.5 + gap for n, gap in enumerate(gaps)}]
    other = [{f"t{n}": 0.5 for n in range(40)}]
    z = gaps.mean() / (gaps.std() / np.sqrt(40))  # 2 to 3 standard errors
    normal = 1 - math.erf(abs(z) / math.sqrt(2))
    assert 0.001 < normal < 0.05
    assert compared(ours, other)["p"] == pytest.approx(normal, rel=0.5)
    assert compared(other, ours)["p"] == compared(ours, other)["p"]
    sure = [{tag: value + 1 for tag, value in ours[0].items()}]
    assert compared(sure, other)["p"] == pytest.approx(2 / 10_001)


def test_the_table_of_a_planted_shop(tmp_path, backbone):
    draw = np.random.default_rng(0)
    kinds = [KINDS[n % len(KINDS)] for n in range(60)]
    items = [
        {"item_id": f"i{n}", "title": f"A {kind} thing", "text": f"{kind} {KINDS[n // 10]}"}
        for n, kind in enumerate(kinds)
    ]
    log = [
        {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": int(item)}
        for user in range(30)
        for item in draw.permutation(60)[:12]
    ]
    tags = [
        {"user_id": "u0", "item_id": f"i{n}", "text": kind.upper(), "timestamp": 1}
        for n, kind in enumerate(kinds)
    ]
    for name, rows in (("interactions", log), ("items", items), ("reviews", tags)):
        write_rows(tmp_path, name, rows)
    with progress.quiet():
        found = table(tmp_path, None, str(backbone))
    assert found["tags"] == len(KINDS)
    first, words = found["titles"]["near titles first"], found["titles"]["words alone"]
    assert first["written"] == pytest.approx(len(KINDS) / 60)  # ten things have each title
    assert words["written"] <= first["written"]
    alone = found["kinds"]["alone"]
    assert list(alone)[:3] == ["BM25", "BM25, not lifted", "BM25, stemmed"]
    assert alone["BM25"]["other"] == 1  # the tag stands in the title
    assert alone["ours, words alone"]["other"] == 1
    assert alone["ours"]["ours"] == alone["ours"]["other"]
    assert {"history alone", "ours"} <= found["kinds"]["history"].keys()
    for of in found["kinds"].values():  # lifted or not, a row has its like of ours beside it
        for name in of:
            assert of[name]["ours"] == of[ours_beside(name)]["other"]


def test_rows_that_are_not_lifted_are_compared_with_ours_not_lifted():
    assert ours_beside("BM25, not lifted") == "ours, not lifted"
    for name in ("BM25", "history alone", "ours, the program's", "ours, not lifted", "ours"):
        assert ours_beside(name) == "ours"
