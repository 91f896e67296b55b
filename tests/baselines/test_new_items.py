"""The baselines ``lm-knn`` and ``ease-new-items``."""

from dataclasses import replace

import numpy as np
import pytest

import reference.new_items
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.ease_new_items import NewItemsScorer
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import ConfigError
from cllm4rec.linear.neighbours import neighbour_weights
from cllm4rec.models.reading import Reader

KINDS = ["red guitar strings", "drum sticks of oak", "a piano stool", "the violin bow"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def log():
    """200 users who each like one kind of forty items, of which the last four are new."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(user % 4, 36, 4), 5, replace=False) for user in range(200)]
    words = [f"{KINDS[item % 4]} number {item}" for item in range(40)]
    return Interactions.from_lists([row.tolist() for row in rows], 40), Context(40, words)


def test_lm_knn_is_cosine_of_words_and_readings_side_by_side(log, backbone):
    train, context = log
    read = Reader(str(backbone), 1).vectors(context.words)
    baseline = baseline_named("lm-knn", {"backbone": str(backbone), "depth": 1})
    points = list(baseline.candidates(train, context))
    assert [settings for settings, _ in points] == baseline.grid(40)
    assert len({scorer.vectors.tobytes() for _, scorer in points}) == 6
    first = points[0][1].vectors
    assert first.shape[1] > context.text_vectors.shape[1]
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(baseline.read(context), read)


@pytest.mark.parametrize(
    "settings",
    [
        *({"depth": 0}, {"max_words": 0}, {"weights": "none"}, {"layer": 3}, {"echo": "no"}),
        *({"backbone": 5}, {"depth": 1.5}, {"depth": True}, {"depth": "3"}, {"max_words": 2.5}),
        *({"train": 1}, {"train_layers": 9}, {"train_layers": -1}, {"epochs": 0}, {"epochs": True}),
        *({"epochs": 3}, {"train_layers": 1}),  # of a training that is not asked for
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError, match=r"baseline_settings\.lm-knn"):
        baseline_named("lm-knn", settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": -1},
        {"depth": ""},
        {"depth": False},
        {"weights": "none"},
        {"reader": 3},
        {"per_user": 1},
    ],
)
def test_so_are_those_of_ease_new_items(settings):
    with pytest.raises(ConfigError, match=r"baseline_settings\.ease-new-items"):
        baseline_named("ease-new-items", settings)


@pytest.mark.parametrize("per_user", [False, True])
def test_scores_are_those_of_the_definition(log, per_user):
    _, context = log
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(40, 40)).astype(np.float32)
    new = np.arange(36, 40)
    weights[new] = weights[:, new] = 0
    vectors = context.text_vectors
    near = neighbour_weights(vectors, new, np.arange(36), k=5, power=2.0)
    scorer = NewItemsScorer(weights, vectors, new, near, 0.7, 2.0, -0.3, per_user)
    histories = [[1, 5, 37], [], [38, 39], [2]]
    found = scorer.score(np.arange(4), Interactions.from_lists(histories, 40))
    for row, history in zip(found, histories, strict=True):
        wanted = reference.new_items.new_items_scores(
            weights.tolist(), vectors.tolist(), new.tolist(), near.toarray().tolist(),
            history, 0.7, 2.0, -0.3, per_user,
        )  # fmt: skip
        np.testing.assert_allclose(row, wanted, atol=1e-4)


@pytest.mark.parametrize("per_user", [False, True])
def test_new_items_of_the_users_kind_come_first_and_take_their_share(log, per_user):
    train, context = log
    baseline = baseline_named("ease-new-items", {"depth": 0, "per_user": per_user})
    points = list(baseline.candidates(train, context))
    assert [settings for settings, _ in points] == baseline.grid(40)
    ease = next(iter(baseline_named("ease").candidates(train, context)))[1]
    for _, scorer in points:
        scores = scorer.score(np.arange(4), train.rows(np.arange(4)))
        assert np.all(scores[:, 36:].argmax(axis=1) == np.arange(4))
        # Others keep EASE's scores: nothing about them has changed.
        known = scores[:, :36]
        np.testing.assert_array_equal(
            known, (train.rows(np.arange(4)).matrix() @ scorer.weights)[:, :36]
        )
    assert ease.weights.shape == points[0][1].weights.shape


@pytest.mark.parametrize("per_user", [False, True])
def test_items_taken_for_new_get_the_share_that_they_have_of_the_interactions(log, per_user):
    train, context = log
    baseline = baseline_named("ease-new-items", {"depth": 0, "per_user": per_user})
    scorer = next(iter(baseline.candidates(train, context)))[1]
    taken = np.arange(0, 8)
    near = neighbour_weights(context.text_vectors, taken, np.arange(8, 36), k=5, power=3.0)
    pretended = replace(scorer, new=taken, neighbours=near)
    calibration = pretended.calibration(train)
    text_weight = calibration.ratio
    offset = calibration.offset(text_weight, 2.0)
    found = replace(pretended, text_weight=text_weight, scale=2.0, offset=offset)
    is_taken = np.isin(train.items, taken)
    history = train.where(~is_taken)
    scores = found.score(np.arange(200), history)
    scores[history.users(), history.items] = -np.inf
    scores[:, 36:] = -np.inf  # really new: no part of the pretence
    length = 8  # as many as are taken: shorter than the lists of twenty
    share = np.isin(np.argsort(-scores, axis=1)[:, :length], taken).mean()
    assert share == pytest.approx(is_taken.mean(), abs=0.02)


def test_a_user_of_many_scores_needs_no_other_offset_than_one_of_few(log):
    """Per user, a history asked twice as loud lists new items at the same places."""
    train, context = log
    baseline = baseline_named("ease-new-items", {"depth": 0, "per_user": True})
    scorer = next(iter(baseline.candidates(train, context)))[1]
    scorer = replace(scorer, text_weight=scorer.text_weight or 0.5)
    quiet = scorer.score(np.arange(4), train.rows(np.arange(4)))
    loud = replace(scorer, weights=2 * scorer.weights).score(np.arange(4), train.rows(np.arange(4)))
    np.testing.assert_allclose(loud, 2 * quiet, rtol=1e-5)


@pytest.mark.parametrize(("per_user", "flooded"), [(True, False), (False, True)])
def test_short_histories_are_not_flooded_with_new_items(per_user, flooded):
    """The offset is set on histories of twelve; people with one item are asked for as well."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(36, 12, replace=False).tolist() for _ in range(200)]
    words = [f"{KINDS[item % 4]} number {item}" for item in range(40)]
    train, context = Interactions.from_lists(rows, 40), Context(40, words)
    baseline = baseline_named("ease-new-items", {"depth": 0, "per_user": per_user})
    scores = next(iter(baseline.candidates(train, context)))[1].score(
        np.full(36, -1), Interactions.from_lists([[item] for item in range(36)], 40)
    )
    first = scores.argmax(axis=1)
    assert ((first >= 36).mean() > 0.8) == flooded, (first >= 36).mean()


def test_another_seed_takes_other_items_for_new(log):
    train, context = log
    baseline = baseline_named("ease-new-items", {"depth": 0})
    offsets = {
        next(iter(baseline.candidates(train, replace(context, seed=seed))))[1].offset
        for seed in (0, 1)
    }
    assert len(offsets) == 2
    assert baseline.draws_at_random


def test_with_a_language_model_the_vectors_are_its_too(log, backbone):
    train, context = log
    baseline = baseline_named("ease-new-items", {"backbone": str(backbone), "depth": 2})
    scorer = next(iter(baseline.candidates(train, context)))[1]
    assert scorer.vectors.shape[1] > context.text_vectors.shape[1]


def test_without_new_items_it_is_ease(log):
    train, context = log
    some = train.where(train.items < 36)
    whole = Interactions(some.offsets, some.items, 36)
    context = Context(36, context.words[:36])
    scorer = next(iter(baseline_named("ease-new-items", {"depth": 0}).candidates(whole, context)))[
        1
    ]
    scores = scorer.score(np.arange(5), whole.rows(np.arange(5)))
    np.testing.assert_array_equal(scores, whole.rows(np.arange(5)).matrix() @ scorer.weights)


@pytest.mark.parametrize("name", ["lm-knn", "ease-new-items"])
def test_a_trained_reading_stands_beside_the_rest(log, backbone, name):
    train, context = log
    settings = {"backbone": str(backbone), "depth": 2, "train": True, "epochs": 1}
    frozen, trained, permuted, random = (
        next(iter(baseline_named(name, {**settings, **change}).candidates(train, context)))[1]
        for change in ({"train": False, "epochs": 6}, {}, {"permuted": True}, {"weights": "random"})
    )
    assert trained.vectors.shape[1] > frozen.vectors.shape[1]
    np.testing.assert_allclose(np.linalg.norm(trained.vectors, axis=1), 1, atol=1e-5)
    for control in (permuted, random):
        assert control.vectors.tobytes() != trained.vectors.tobytes()


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_only_random_layers_are_drawn_by_the_seed(log, backbone, weights):
    _, context = log
    settings = {"backbone": str(backbone), "depth": 1, "weights": weights}
    baseline = baseline_named("lm-knn", settings)
    read, other = (baseline.read(replace(context, seed=seed)) for seed in (0, 1))
    assert (read.tobytes() == other.tobytes()) == (weights == "pretrained")


def test_validation_is_offered_a_trained_reading(log, backbone):
    train, context = log
    reader = {"backbone": str(backbone), "depth": 1, "epochs": 1}
    free = baseline_named("ease-new-items", {"backbone": str(backbone), "depth": 1})
    best = free.grid(40)[4]
    [offered] = free.refinements(train, context, 9)
    trained = [settings for settings, _ in offered(best)]
    assert len(trained) == 9
    assert {(each["per_user"], each["trained"]) for each in trained} == {(True, True)}
    assert {each["k"] for each in trained} == {best["k"]}
    for fixed in ({"per_user": False, "train": False}, {"depth": 0, "per_user": True}):
        given = baseline_named("ease-new-items", {"backbone": str(backbone), **fixed})
        assert not any(list(each(best)) for each in given.refinements(train, context, 9))
        assert {point["per_user"] for point in given.grid(40)} == {fixed["per_user"]}
    always = baseline_named("ease-new-items", {**reader, "train": True, "per_user": False})
    assert all(point["trained"] for point in always.grid(40))


@pytest.mark.parametrize("trained", [False, True])
def test_a_chosen_point_is_fitted_again_as_it_was(log, backbone, trained):
    train, context = log
    baseline = baseline_named("ease-new-items", {"backbone": str(backbone), "depth": 1})
    point = {**baseline.grid(40)[-1], "trained": trained}
    [(_, scorer)] = baseline.fitted([point], train, context)
    again = baseline.refitted(point, train, context)
    np.testing.assert_array_equal(again.vectors, scorer.vectors)
    assert (again.offset, again.scale) == (scorer.offset, scorer.scale)
    if not trained:  # an earlier version chose neither, and had one unit for all
        old = {name: point[name] for name in ("k", "power", "text_weight", "scale")}
        [(_, scorer)] = baseline.fitted([{**point, "per_user": False}], train, context)
        assert baseline.refitted(old, train, context).offset == scorer.offset
