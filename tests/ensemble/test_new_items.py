"""The linear half where items without interactions are asked for."""

from dataclasses import replace

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble import linear
from cllm4rec.ensemble.linear import LinearModel, asks_for_new_items, search
from cllm4rec.evaluation.selection import Selection

KINDS = ["red guitar strings", "drum sticks of oak", "a piano stool", "the violin bow"]
WORDS_ALONE = {"depth": 0}
ITEMS, NEW = 40, np.arange(36, 40)


@pytest.fixture(scope="module")
def train() -> Interactions:
    """200 users who each like one kind of forty items, of which the last four are new."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(user % 4, 36, 4), 5, replace=False) for user in range(200)]
    return Interactions.from_lists([row.tolist() for row in rows], ITEMS)


@pytest.fixture(scope="module")
def context() -> Context:
    return Context(ITEMS, [f"{KINDS[item % 4]} number {item}" for item in range(ITEMS)])


def selection(train: Interactions, wanted: list[list[int]]) -> Selection:
    users = np.arange(len(wanted), dtype=np.int32)
    relevant = Interactions.from_lists(wanted, ITEMS)
    return Selection(users, train.rows(users), relevant, ("recall@10", "ndcg@10"))


@pytest.fixture(scope="module")
def asked(train) -> Selection:
    """Everyone wants the new item of their kind."""
    return selection(train, [[36 + user % 4] for user in range(200)])


@pytest.fixture(scope="module")
def found(train, context, asked) -> LinearModel:
    with progress.quiet():
        model = search(train, asked, context, reader=WORDS_ALONE)
    assert model is not None
    return model


def test_new_items_are_found_by_their_texts(train, context, asked, found):
    with progress.quiet():
        tuned = tune(baseline_named("ease-new-items", WORDS_ALONE), train, asked, context)
        plain = tune(baseline_named("ease-text"), train, asked, context)
    assert found.settings["baseline"] == "ease-new-items"
    value = asked.value(asked.report(found))
    assert value == pytest.approx(tuned.value)
    assert value > plain.value
    users, known = np.arange(9, dtype=np.int32), train.rows(range(9))
    wanted = tuned.scorer.score(users, known)
    np.testing.assert_allclose(found.sums(known).numpy(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kept", [9, 100])
def test_as_arrays_it_scores_to_the_byte_as_before(found, train, kept):
    small = LinearModel(linear.largest(found.weights, kept), found.settings, found.new)
    arrays = {name: array.copy() for name, array in small.arrays().items()}
    again = LinearModel.from_arrays(arrays, small.settings)
    known = train.rows(range(20))
    assert again.sums(known).numpy().tobytes() == small.sums(known).numpy().tobytes()
    if kept == 100:
        assert small.sums(known).numpy().tobytes() == found.sums(known).numpy().tobytes()


def test_units_per_user_are_kept_and_older_files_have_one_for_all(found, train):
    assert found.new is not None
    known = train.rows(range(20))
    one_for_all = replace(found, new=replace(found.new, per_user=False))
    scores, alike = found.sums(known).numpy(), one_for_all.sums(known).numpy()
    assert np.abs(scores - alike)[:, NEW].max() > 1e-3
    again = LinearModel.from_arrays(found.arrays(), found.settings)
    np.testing.assert_array_equal(again.sums(known).numpy(), scores)
    arrays = found.arrays()
    arrays["new.numbers"] = arrays["new.numbers"][:3]
    older = LinearModel.from_arrays(arrays, found.settings)
    np.testing.assert_array_equal(older.sums(known).numpy(), alike)


def test_items_seen_once_are_not_new(train):
    once = Interactions.from_lists([[0], [0, 1]], ITEMS)
    wanted = selection(train, [[1]] * 20)
    assert asks_for_new_items(train, selection(train, [[36]] * 20))
    assert not asks_for_new_items(once, wanted)


def test_of_both_models_the_better_on_validation_is_kept(train, context, asked, monkeypatch):
    def worse_for_new(baseline, *given):
        tuned = tune(baseline, *given)
        return replace(tuned, value=-1.0) if baseline.name == "ease-new-items" else tuned

    monkeypatch.setattr(linear, "tune", worse_for_new)
    with progress.quiet():
        model = search(train, asked, context, reader=WORDS_ALONE)
    assert model is not None
    assert model.new is None
    assert "baseline" not in model.settings


def test_nothing_is_read_where_nothing_new_is_asked_for(train, context, monkeypatch):
    """One in twenty makes them worth it."""
    old = [[(user % 4) + 4] for user in range(200)]
    assert not asks_for_new_items(train, selection(train, old))
    some = [[36]] * 10 + old[10:]
    assert asks_for_new_items(train, selection(train, some))
    tuned: list[str] = []

    def noting(baseline, *given):
        tuned.append(baseline.name)
        return tune(baseline, *given)

    monkeypatch.setattr(linear, "tune", noting)
    with progress.quiet():
        search(train, selection(train, old), context, reader=WORDS_ALONE)
        assert tuned == ["ease-text"]
        search(train, selection(train, some), context, reader=WORDS_ALONE)
    assert tuned == ["ease-text", "ease-text", "ease-new-items"]
