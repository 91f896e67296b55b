"""The baselines ``ease`` and ``ease-text`` (the arithmetic is tested in tests/linear)."""

import numpy as np
import pytest

from cllm4rec.baselines import Context, baseline_named, ease, ease_text
from cllm4rec.baselines.base import MANY_USERS
from cllm4rec.baselines.ease import CONSTANTS, POWERS
from cllm4rec.errors import ConfigError
from support.ease import ease_weights


def test_each_points_weights_are_those_of_its_l2(planted):
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items)
    found = dict(
        (s["l2"], scorer.weights) for s, scorer in baseline_named("ease").candidates(train, context)
    )
    assert list(found) == [20, 100, 300, 1000]
    for l2, weights in found.items():
        assert weights.tobytes() == ease_weights(train, l2=l2).tobytes()


def test_each_points_weights_are_those_of_its_l2_and_alpha(planted):
    train, context = planted.dataset.part("train"), Context.of(planted.dataset)
    count = 0
    for settings, scorer in baseline_named("ease-text").candidates(train, context):
        wanted = ease_weights(train, text_vectors=context.text_vectors, **settings)
        np.testing.assert_allclose(scorer.weights, wanted, atol=1e-6)
        count += 1
    assert count == 20


@pytest.mark.parametrize(("items", "points"), [(6_000, 20), (6_001, 12)])
def test_a_large_catalogue_gets_the_coarser_grid(items, points):
    assert len(baseline_named("ease-text").grid(items)) == points


@pytest.mark.parametrize("name", ["ease-text", "ease-text-order"])
def test_of_a_large_catalogue_one_setting_is_searched_after_the_other(name, planted, monkeypatch):
    train, context = planted.dataset.part("train"), Context.of(planted.dataset)
    assert len({point["alpha"] for point in baseline_named(name).points(context)}) == 5
    monkeypatch.setattr(ease_text, "LARGE_ITEMS", 5)
    baseline = baseline_named(name)
    points = baseline.points(context)
    assert {(point["l2"], point["alpha"]) for point in points} == {(50, 10), (200, 10), (800, 10)}
    [others, *_] = baseline.refinements(train, context, 0)
    best = next(point for point in points if point["l2"] == 200)
    found = list(others(best))
    assert {(each["l2"], each["alpha"]) for each, _ in found} == {(200, 0), (200, 3), (200, 30)}
    assert all(each in baseline.grid(context.num_items) for each, _ in found)
    assert len(found) == len(points)
    if name == "ease-text":
        for settings, scorer in found:
            alpha = settings["alpha"]
            wanted = ease_weights(train, text_vectors=context.text_vectors, l2=200, alpha=alpha)
            assert scorer.weights.tobytes() == wanted.tobytes()


def test_of_a_large_catalogue_without_texts_every_l2_is_tried(planted, monkeypatch):
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items, ordered=True)
    monkeypatch.setattr(ease_text, "LARGE_ITEMS", 5)
    baseline = baseline_named("ease-text-order")
    assert {point["l2"] for point in baseline.points(context)} == {50, 200, 800}
    assert {point["alpha"] for point in baseline.points(context)} == {0}
    assert not baseline.other_alphas(train, context)


@pytest.mark.parametrize(
    ("large", "users", "tried"),
    [(False, MANY_USERS, (12, 6)), (False, MANY_USERS - 1, (3, 2)), (True, MANY_USERS, (1, 1))],
)
def test_other_rows_are_tried_after_the_grid(large, users, tried, planted, monkeypatch):
    monkeypatch.setattr(ease, "LARGE_ITEMS", 5 if large else 6_000)
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items)
    baseline, best = baseline_named("ease"), {"l2": 100}
    constants, powers, *_ = baseline.refinements(train, context, users)
    found = list(constants(best))
    assert {settings["constant"] for settings, _ in found} <= set(CONSTANTS)
    assert all(scorer.bias is not None for _, scorer in found)
    best = found[0][0]
    weighed = [settings for settings, _ in powers(best)]
    assert {settings["constant"] for settings in weighed} == {best["constant"]}
    assert {settings["length_power"] for settings in weighed} <= set(POWERS)
    assert (len(found), len(weighed)) == tried


def test_half_and_twice_the_best_l2_are_tried_after_the_grid(planted):
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items)
    [*_, refinement] = baseline_named("ease").refinements(train, context, MANY_USERS)
    found = [(settings["l2"], scorer.weights) for settings, scorer in refinement({"l2": 100})]
    assert [l2 for l2, _ in found] == [50, 200]
    for l2, weights in found:
        assert weights.tobytes() == ease_weights(train, l2=l2).tobytes()


@pytest.mark.parametrize("name", ["ease", "ease-text"])
def test_neighbours_given_are_those_of_every_point(planted, name):
    train, context = planted.dataset.part("train"), Context.of(planted.dataset)
    baseline = baseline_named(name, {"neighbours": 7})
    found = list(baseline.candidates(train, context))
    for refinement in baseline.refinements(train, context, MANY_USERS):
        found += refinement(found[-1][0])
    for settings, scorer in found:
        assert settings["neighbours"] == 7
        assert np.bincount(scorer.weights.indices, minlength=train.num_items).max() == 7


def test_many_items_have_neighbours_and_few_have_not():
    for name in ("ease", "ease-text", "ease-text-order"):
        baseline = baseline_named(name)
        assert all("neighbours" not in point for point in baseline.grid(25_000))
        assert all(point["neighbours"] == 200 for point in baseline.grid(25_001))


@pytest.mark.parametrize("neighbours", [0, -1, 2.5, True, "all"])
def test_neighbours_that_are_none_are_refused(neighbours):
    with pytest.raises(ConfigError, match="is no whole number from 1 on"):
        baseline_named("ease", {"neighbours": neighbours})
