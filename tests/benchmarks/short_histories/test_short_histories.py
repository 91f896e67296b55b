"""What is told of a history, and the table of a trained run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.short_histories.table import LANGUAGE, LINEAR, MODEL, table
from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.lengths import told
from cllm4rec.errors import InputError
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.recommender.saved import Recommender
from support.examples import examples
from support.trained import planted_run, train_toy_run

HISTORIES = st.lists(st.lists(st.integers(0, 9), max_size=8, unique=True), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone):
    return planted_run(tmp_path_factory, backbone).run.path


@given(rows=HISTORIES, number=st.integers(1, 9))
@examples(30)
def test_the_newest_items_are_told_in_their_order(rows, number):
    found = told(Interactions.from_lists(rows, 10), number, newest=True)
    assert [found.of(n).tolist() for n in range(len(rows))] == [row[-number:] for row in rows]


@given(rows=HISTORIES, number=st.integers(1, 8))
@examples(30)
def test_without_order_a_larger_number_has_the_smaller_ones_items(rows, number):
    histories = Interactions.from_lists(rows, 10)
    some, more = (told(histories, n, newest=False) for n in (number, number + 1))
    for n, row in enumerate(rows):
        drawn = some.of(n).tolist()
        assert len(set(drawn)) == len(drawn) == min(number, len(row))
        assert set(drawn) <= set(more.of(n).tolist()) <= set(row)


def test_with_all_items_the_rows_are_those_of_the_whole_protocol(run):
    with progress.quiet():
        result = table([run], ["ease"])
        recommender = Recommender.load(run)
        recommender.scorer.anonymous = True
        whole = evaluate_scorer(recommender.scorer, recommender.dataset, "test").mean
    told_all = result["told"]["all"]
    assert set(told_all) == {MODEL, LANGUAGE, LINEAR, "ease"}
    for measure in result["measures"]:
        assert told_all[MODEL][measure]["mean"] == pytest.approx(whole[measure], abs=1e-4)
        assert told_all[MODEL][measure]["p"] == 1
    one, every = (result["told"][n]["ease"]["recall@20"]["mean"] for n in ("1", "all"))
    assert one < every, "more is known, more is found"


def test_seeds_of_one_model_are_averaged_and_other_data_refused(run, tmp_path, backbone):
    with progress.quiet():
        once, twice = (table([run] * n, []) for n in (1, 2))
    assert once == twice
    other = train_toy_run(tmp_path, backbone)
    with progress.quiet(), pytest.raises(InputError, match="different data; give seeds of one"):
        table([run, other.path], [])
