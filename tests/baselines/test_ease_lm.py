"""EASE + text as a language model reads it: what is tried, what is read, what it equals."""

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.base import MANY_USERS
from cllm4rec.baselines.ease_lm import ALPHAS, TEXTS, EaseLm
from cllm4rec.baselines.ease_text_order import DECAYS
from cllm4rec.baselines.trained_reading import BATCH
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.linear import PLAIN, as_chosen, search
from cllm4rec.errors import ConfigError
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.text_vectors import beside, whitened
from cllm4rec.models.reading import Reader
from cllm4rec.seeds import generator
from support.closed_form import slow_scores

HISTORIES = [[0, 1, 2], [1, 2, 3], [3, 4], [4, 0, 2, 1]]
TRAIN = Interactions.from_lists(HISTORIES, 5)
WORDS = ["red car", "red bus", "blue bus", "blue car", "red train"]
BEST = {"l2": 50, "alpha": 10, "windows": False, "transitions": 1.0, "decay": 0.6, "texts": "words"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def reader(backbone):
    return {"backbone": str(backbone), "depth": 1}


def context(*, newest: bool = False, ordered: bool = True, words: list[str] = WORDS) -> Context:
    return Context(5, words, ordered=ordered, newest_held_out=newest)


def refined(baseline, given: Context, best: dict) -> list[tuple[dict, np.ndarray]]:
    """Settings of every refinement around ``best``, with scores of one history."""
    history = Interactions.from_lists([[2, 0, 3]], 5)
    return [
        (settings, scorer.score(np.zeros(1, int), history)[0])
        for refinement in baseline.refinements(TRAIN, given, MANY_USERS)
        for settings, scorer in refinement(best)
    ]


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("texts", ["words", *TEXTS])
def test_every_refinement_equals_the_slow_computation_of_its_settings(newest, texts, reader):
    given = context(newest=newest)
    read = whitened(Reader(**reader).vectors(WORDS), 0.5)
    kinds = {"words": given.text_vectors, "read": read}
    kinds["both"] = beside(given.text_vectors, read, 1.0)
    best = {**BEST, "texts": texts} if newest else {**BEST, "texts": texts, "transitions": 0.0}
    found = refined(baseline_named("ease-lm", reader), given, best)
    for settings, scores in found:
        vectors = kinds[settings["texts"]].astype(float)
        wanted = slow_scores(HISTORIES, settings, vectors, [2, 0, 3])
        np.testing.assert_allclose(scores, wanted, rtol=1e-3, atol=1e-5, err_msg=str(settings))
    tried = {(settings["texts"], settings["alpha"]) for settings, _ in found}
    assert {(kind, 10 * by) for kind in TEXTS for by in ALPHAS} <= tried
    assert {settings["windows"] for settings, _ in found} == ({False} if newest else {True, False})
    decays = {settings["decay"] for settings, _ in found if settings["texts"] in TEXTS}
    assert decays == set(DECAYS) if newest else decays <= {0.6, 1.0}


def test_the_grid_is_searched_with_tf_idf(reader):
    baseline, given = baseline_named("ease-lm", reader), context(newest=True)
    plain = baseline_named("ease-text-order").points(given)
    assert baseline.points(given) == [{**point, "texts": "words"} for point in plain]


def test_nothing_is_read_where_texts_do_not_help(reader, monkeypatch):
    monkeypatch.setattr(EaseLm, "read", lambda *_: pytest.fail("a text was read"))
    found = refined(baseline_named("ease-lm", reader), context(newest=True), {**BEST, "alpha": 0})
    assert {settings["texts"] for settings, _ in found} == {"words"}


def test_without_an_order_no_windows_are_cut(reader):
    best = {**BEST, "transitions": 0.0, "decay": 1.0}
    found = refined(baseline_named("ease-lm", reader), context(ordered=False), best)
    assert {settings["windows"] for settings, _ in found} == {False}
    assert {settings["texts"] for settings, _ in found} == {"words", *TEXTS}


def test_the_control_of_permuted_texts_gives_each_item_what_was_read_of_another(reader):
    true, permuted = (
        baseline_named("ease-lm", {**reader, "permuted": permuted}).read(context())
        for permuted in (False, True)
    )
    order = generator(0, "permuted texts").permutation(5)
    assert order.tolist() != list(range(5))
    np.testing.assert_array_equal(permuted, true[order])


@pytest.mark.parametrize(
    ("settings", "draws"),
    [
        ({}, False),
        ({"weights": "random"}, True),
        ({"permuted": True}, True),
        ({"train": True}, True),
        ({"train": True, "weights": "random", "permuted": True, "depth": 0}, False),
    ],
)
def test_the_seed_matters_where_something_is_drawn_and_a_bench_then_runs_every_seed(
    settings, draws, reader
):
    items = BATCH + 6  # of one batch the order does not matter
    train = Interactions.from_lists([[at, (at + 1) % items] for at in range(items)], items)
    words = [f"{'red' if at % 3 else 'blue'} {chr(97 + at % 26)}{at}" for at in range(items)]
    baseline = baseline_named("ease-lm", {**reader, **settings})
    point = {**BEST, "texts": "read" if baseline.reads else "words"}
    vectors = [
        baseline.text_vectors(train, Context(items, words, seed=seed), point) for seed in (0, 1)
    ]
    assert np.allclose(*vectors, atol=1e-4) != draws
    assert baseline.draws_at_random == draws
    if baseline.reads:
        assert baseline_named("lm-knn", {**reader, **settings}).draws_at_random == draws
    assert baseline_named("ease-new-items", {**reader, **settings}).draws_at_random


def test_when_it_cannot_be_had(reader):
    baseline = baseline_named("ease-lm", reader)
    assert baseline.unavailable(context(words=[""] * 5)) is not None
    assert "26,000 items" in baseline.unavailable(Context(26_000, ["car"] * 26_000))
    assert "depth" in baseline_named("ease-lm", {"depth": 0}).unavailable(context())
    with pytest.raises(ConfigError, match=r"baseline_settings\.ease-lm: permuted = 1"):
        baseline_named("ease-lm", {"permuted": 1})


def test_validation_takes_what_is_read_where_it_says_more_than_the_words(reader, monkeypatch):
    """Half the items have no word of their kind; a reader who knows every kind is better."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(user % 4, 40, 4), 2, replace=False).tolist() for user in range(60)]
    kinds = ("drum", "violin", "piano", "guitar")
    words = [f"{kinds[item % 4]} red" if item < 20 else "red" for item in range(40)]
    train, given = Interactions.from_lists(rows, 40), Context(40, words)
    wanted = Interactions.from_lists([[int(rng.integers(10)) * 4 + u % 4] for u in range(60)], 40)
    selection = Selection(np.arange(60, dtype=np.int32), train, wanted, ("recall@10", "ndcg@10"))
    read = np.eye(4, dtype=np.float32)[np.arange(40) % 4]
    monkeypatch.setattr(EaseLm, "read", lambda *_: read + rng.normal(0, 0.01, read.shape))
    with progress.quiet():
        model = search(train, selection, given, reader=reader)
    assert model.settings["texts"] in TEXTS
    monkeypatch.setattr(EaseLm, "read", lambda *_: read[rng.permutation(40)])
    with progress.quiet():
        model = search(train, selection, given, reader=reader)
    assert model.settings["texts"] == "words"


def test_fitting_with_the_settings_gives_the_very_weights(reader):
    train, given = TRAIN, context(newest=True)
    selection = Selection(np.arange(4, dtype=np.int32), train, train, ("recall@10", "ndcg@10"))
    baseline = baseline_named("ease-lm", reader)
    baseline.constants = ()  # a language model beside it knows what is popular
    with progress.quiet():
        found = search(train, selection, given, reader=reader)
        tuned = tune(baseline, train, selection, given).settings
        assert found.settings == {**PLAIN, **tuned}
    for texts in ("words", *TEXTS):
        settings = {**BEST, "texts": texts}
        [(_, scorer)] = baseline.fitted([settings], train, given)
        again = as_chosen(train, settings, given, reader)
        assert again.weights.tobytes() == scorer.weights.tobytes()
