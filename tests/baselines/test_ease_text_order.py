"""EASE + text with order: what it tries, and that each try is what its settings say."""

from itertools import pairwise

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.base import MANY_USERS
from cllm4rec.baselines.ease import CONSTANTS, POWERS
from cllm4rec.baselines.ease_text_order import DECAYS
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.evaluation.selection import Selection
from support.closed_form import slow_scores
from support.planted_order import write_planted_order

HISTORIES = [[0, 1, 2], [1, 2, 3], [3, 4], [4, 0, 2, 1]]
TRAIN = Interactions.from_lists(HISTORIES, 5)
WORDS = ["red car", "red bus", "blue bus", "blue car", "red train"]


def context(*, newest: bool, words: list[str] = WORDS) -> Context:
    return Context(5, words, ordered=True, newest_held_out=newest)


def tried(given: Context) -> list[tuple[dict, np.ndarray]]:
    """Settings of every candidate and refinement around the last, with scores of one history."""
    baseline = baseline_named("ease-text-order")
    found = list(baseline.candidates(TRAIN, given))
    for refinement in baseline.refinements(TRAIN, given, MANY_USERS):
        found += list(refinement(found[-1][0]))
    history = Interactions.from_lists([[2, 0, 3]], 5)
    return [(settings, scorer.score(np.zeros(1, int), history)[0]) for settings, scorer in found]


@pytest.mark.parametrize(
    ("newest", "words", "settings"),
    [(True, WORDS, 80), (False, WORDS, 20), (True, [""] * 5, 16), (False, [""] * 5, 4)],
)
def test_what_has_no_meaning_is_neither_tried_nor_counted(newest, words, settings):
    given = context(newest=newest, words=words)
    baseline = baseline_named("ease-text-order")
    points = baseline.points(given)
    assert [point for point, _ in baseline.candidates(TRAIN, given)] == points
    assert len(points) == settings


@pytest.mark.parametrize("newest", [True, False])
def test_every_try_equals_the_slow_computation_of_its_settings(newest):
    given = context(newest=newest)
    texts = given.text_vectors.astype(float)
    assert texts.shape[1] > 1
    found = tried(given)
    for settings, scores in found:
        wanted = slow_scores(HISTORIES, settings, texts, [2, 0, 3])
        np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-5, err_msg=str(settings))
    decays = {settings["decay"] for settings, _ in found}
    assert decays == (set(DECAYS) if newest else {1.0})
    assert {settings["windows"] for settings, _ in found} == ({False} if newest else {True, False})
    weights = {settings["transitions"] for settings, _ in found}
    assert weights == ({0.0, 0.5, 1.0, 2.0} if newest else {0.0})
    assert {settings.get("constant", 0.0) for settings, _ in found} == {0.0, *CONSTANTS}
    assert {settings.get("length_power", 0.0) for settings, _ in found} == {0.0, *POWERS}
    assert all(a != b for (a, _), (b, _) in pairwise(found))


def test_half_and_twice_the_best_are_tried():
    found = [settings for settings, _ in tried(context(newest=False))]
    *others, last = [(settings["l2"], settings["alpha"]) for settings in found]
    best = 1000 * 2.5 * 2.5  # of other rows the last tried ones
    assert last == (best * 2, 200)
    around = {(best * by, 100 * a) for by in (0.5, 1, 2) for a in (0.5, 1, 2)}
    assert around - {(best, 100)} <= set(others)


def test_without_texts_it_is_ease_with_order():
    found = tried(context(newest=True, words=[""] * 5))
    assert {settings["alpha"] for settings, _ in found} == {0}


def test_a_log_without_order_has_none():
    reason = baseline_named("ease-text-order").unavailable(Context(5, WORDS))
    assert reason == "the interactions have no order; add a column timestamp or position"


def test_order_is_found_where_there_is_nothing_else(tmp_path):
    """In a ring of equally popular items only age tells the next one from the one before."""
    write_planted_order(tmp_path / "in")
    with progress.quiet():
        dataset = Dataset.load(tmp_path / "in", protocol="leave-last-out", folder=tmp_path / "data")
        mean = {}
        for name in ("ease", "ease-text-order"):
            selection = Selection.of(dataset, ("recall@10", "ndcg@10"), 0)
            tuned = tune(
                baseline_named(name), dataset.part("train"), selection, Context.of(dataset)
            )
            mean[name] = evaluate_scorer(tuned.scorer, dataset, "test").mean["ndcg@10"]
    assert mean["ease-text-order"] > mean["ease"] + 0.05
