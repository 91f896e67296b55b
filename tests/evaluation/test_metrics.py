import json
import os
import subprocess
import sys
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.metrics import (
    METRICS,
    coverage_at,
    hits,
    mrr,
    ndcg_at,
    recall_at,
)
from reference import metrics as slow


def relevant(*rows: list[int]) -> Interactions:
    return Interactions.from_lists(rows, 12)


def counted(ranked: np.ndarray, wanted: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """What a metric is of."""
    return hits(ranked, wanted), wanted.counts()


@st.composite
def lists_and_relevant(draw):
    """Ranked lists that may end early, and relevant items, some users without any."""
    length = draw(st.integers(1, 10))
    users = draw(st.integers(1, 5))
    item = st.integers(0, 11)
    ranked = [draw(st.lists(item, unique=True, max_size=length)) for _ in range(users)]
    wanted = [draw(st.lists(item, unique=True, max_size=6)) for _ in range(users)]
    return [row + [-1] * (length - len(row)) for row in ranked], wanted


def test_recall_divides_by_what_could_be_there():
    ranked = np.array([[5, 1, 7, 2]])
    assert recall_at(*counted(ranked, relevant([1, 2, 3])), 2) == pytest.approx([1 / 2])
    assert recall_at(*counted(ranked, relevant([1, 2, 3])), 4) == pytest.approx([2 / 3])
    assert recall_at(*counted(ranked, relevant([1, 2, 3])), 40) == pytest.approx([2 / 3])


def test_ndcg_discounts_the_second_hit():
    found = ndcg_at(*counted(np.array([[3, 9, 1]]), relevant([3, 1])), 3)
    assert found == pytest.approx([(1 + 1 / log2(4)) / (1 + 1 / log2(3))])


def test_ndcg_of_many_relevant_items_is_ideal_within_the_depth():
    assert ndcg_at(*counted(np.array([[3, 9]]), relevant([1, 3, 9])), 2) == pytest.approx([1.0])


def test_mrr_is_the_first_hit_alone():
    ranked = np.array([[7, 8, 3, 1], [7, 8, 9, 0]])
    assert mrr(*counted(ranked, relevant([1, 3], [5]))) == pytest.approx([1 / 3, 0])


def test_nothing_relevant_is_nan_and_no_list_is_zero():
    ranked = np.array([[1, 2], [-1, -1]])
    wanted = relevant([], [4])
    for found in (
        recall_at(*counted(ranked, wanted), 2),
        ndcg_at(*counted(ranked, wanted), 2),
        mrr(*counted(ranked, wanted)),
    ):
        assert np.isnan(found[0])
        assert found[1] == 0
    empty = np.empty((2, 0), np.int32)
    assert mrr(*counted(empty, wanted))[1] == 0
    assert ndcg_at(*counted(empty, wanted), 5)[1] == 0


def test_one_users_items_are_not_anothers():
    assert hits(np.array([[1, 2], [1, 2]]), relevant([1], [2])).tolist() == [
        [True, False],
        [False, True],
    ]
    # −1 in the second row must not reach the first row's last item.
    assert not hits(np.array([[0], [-1]]), relevant([11], [3])).any()


def test_coverage_counts_each_item_once_and_no_fillers():
    ranked = np.array([[1, 2, 3], [2, -1, -1]])
    assert coverage_at(ranked, 10, 2) == pytest.approx(2 / 10)
    assert coverage_at(ranked, 10, 3) == pytest.approx(3 / 10)
    assert coverage_at(np.full((2, 3), -1), 10, 3) == 0


@given(lists_and_relevant(), st.integers(1, 12))
def test_metrics_equal_the_loops(case, k):
    ranked, wanted = case
    lists, rows = np.array(ranked), Interactions.from_lists(wanted, 12)
    pairs = [(row, set(items)) for row, items in zip(ranked, wanted, strict=True)]
    expected_recall = [slow.recall_at(row, items, k) for row, items in pairs]
    expected_ndcg = [slow.ndcg_at(row, items, k) for row, items in pairs]
    assert recall_at(*counted(lists, rows), k) == pytest.approx(expected_recall, nan_ok=True)
    assert ndcg_at(*counted(lists, rows), k) == pytest.approx(expected_ndcg, nan_ok=True)
    assert mrr(*counted(lists, rows)) == pytest.approx(
        [slow.mrr(row, items) for row, items in pairs], nan_ok=True
    )


@given(lists_and_relevant())
def test_every_metric_is_a_share(case):
    lists, rows = np.array(case[0]), Interactions.from_lists(case[1], 12)
    for metric in METRICS.values():
        values = metric(hits(lists, rows), rows.counts())
        defined = values[rows.counts() > 0]
        assert np.isnan(values).sum() == len(values) - len(defined)
        assert ((defined >= 0) & (defined <= 1)).all()


@given(lists_and_relevant(), st.integers(1, 9))
def test_moving_a_hit_up_never_hurts(case, place):
    lists, rows = np.array(case[0]), Interactions.from_lists(case[1], 12)
    place = min(place, lists.shape[1] - 1)
    hit = hits(lists, rows)
    better = hit.copy()
    moved = hit[:, place] & ~hit[:, place - 1]
    better[moved, place - 1], better[moved, place] = True, False
    defined = rows.counts() > 0
    for metric in METRICS.values():
        before, after = metric(hit, rows.counts()), metric(better, rows.counts())
        assert (after[defined] >= before[defined] - 1e-12).all()


def test_the_tables_metrics_are_those_functions():
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(150)[:100] for _ in range(30)])
    rows = Interactions.from_lists([rng.permutation(150)[:50] for _ in range(30)], 150)
    expected = {
        "recall@10": recall_at(*counted(lists, rows), 10),
        "recall@20": recall_at(*counted(lists, rows), 20),
        "recall@40": recall_at(*counted(lists, rows), 40),
        "ndcg@10": ndcg_at(*counted(lists, rows), 10),
        "ndcg@100": ndcg_at(*counted(lists, rows), 100),
        "mrr": mrr(*counted(lists, rows)),
    }
    found = {name: metric(hits(lists, rows), rows.counts()) for name, metric in METRICS.items()}
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].tolist() == values.tolist()


RANX = """
import json, sys
import ranx
qrels, run, names = json.load(sys.stdin)
print(json.dumps(ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), names)))
"""


def test_metrics_agree_with_ranx():
    pytest.importorskip("ranx")
    rng = np.random.default_rng(1)
    lists = np.array([rng.permutation(60)[:40] for _ in range(25)])
    wanted = [rng.permutation(60)[: rng.integers(1, 30)].tolist() for _ in range(25)]
    qrels = {f"u{user}": {f"i{item}": 1 for item in items} for user, items in enumerate(wanted)}
    run = {
        f"u{user}": {f"i{item}": float(100 - rank) for rank, item in enumerate(items)}
        for user, items in enumerate(lists.tolist())
    }
    given = json.dumps([qrels, run, ["ndcg@10", "ndcg@40", "mrr", "precision@10"]])
    # Compiling ranx's loops takes a minute and a half; uncompiled they are quick enough here. In a
    # process of its own, since numba looks at this when it is imported, and others here import it.
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", RANX]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=plain)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    rows = Interactions.from_lists(wanted, 60)
    assert ndcg_at(*counted(lists, rows), 10).mean() == pytest.approx(theirs["ndcg@10"])
    assert ndcg_at(*counted(lists, rows), 40).mean() == pytest.approx(theirs["ndcg@40"])
    assert mrr(*counted(lists, rows)).mean() == pytest.approx(theirs["mrr"])
    # ranx's recall has another denominator: undo both.
    found = recall_at(*counted(lists, rows), 10) * np.minimum(rows.counts(), 10) / 10
    assert found.mean() == pytest.approx(theirs["precision@10"])
