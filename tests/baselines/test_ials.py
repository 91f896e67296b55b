import warnings
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cllm4rec.baselines import Context, baseline_named, ials
from cllm4rec.baselines.tuning import tune
from cllm4rec.errors import InputError
from cllm4rec.evaluation.selection import Selection


@pytest.fixture
def implicit_utils():
    pytest.importorskip("implicit")
    from implicit import utils

    return utils


@pytest.fixture
def fitted(implicit_utils, planted):
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items)
    return next(iter(baseline_named("ials").candidates(train, context)))


def test_implicit_has_nothing_to_warn_about_and_blas_gets_its_threads_back(
    planted, implicit_utils, monkeypatch
):
    monkeypatch.setattr(implicit_utils, "_checked_blas_config", False)
    train = planted.dataset.part("train")
    context = Context(train.num_items, [""] * train.num_items)
    with threadpool_limits(2, "blas"), warnings.catch_warnings(action="error"):
        before = [library["num_threads"] for library in threadpool_info()]
        next(iter(baseline_named("ials").candidates(train, context)))
        assert [library["num_threads"] for library in threadpool_info()] == before
    assert implicit_utils._checked_blas_config


def test_folding_in_solves_the_users_weighted_regression(fitted, planted):
    settings, scorer = fitted
    items = scorer.model.item_factors.astype(np.float64)
    history = planted.dataset.part("train").rows([7])
    # (YᵀY + α Σ y yᵀ − Σ y yᵀ + λI) x = α Σ y, the confidence of a known item being α, of others 1
    known = items[history.items]
    alpha, penalty = settings["alpha"], settings["regularization"] * np.eye(items.shape[1])
    left = items.T @ items + (alpha - 1) * known.T @ known + penalty
    wanted = items @ np.linalg.solve(left, alpha * known.sum(axis=0))
    np.testing.assert_allclose(scorer.score(np.array([0]), history)[0], wanted, atol=1e-3)


def test_the_search_goes_from_coarse_to_fine_and_keeps_what_validation_prefers(
    implicit_utils, planted
):
    train = planted.dataset.part("train")
    context, baseline = Context.of(planted.dataset), baseline_named("ials")
    selection = Selection.of(planted.dataset, ("recall@20", "ndcg@100"), 0)
    tuned = tune(baseline, train, selection, context)
    values = {
        tuple(settings.values()): selection.value(selection.report(scorer))
        for settings, scorer in baseline.candidates(train, context)
    }
    assert {(factors, penalty / alpha) for factors, penalty, alpha in values} == {
        (64, 2.0),
        (64, 5.0),
    }
    assert tuned.value >= max(values.values())
    assert train.num_items <= 64, "more factors than items are not tried"
    best = {"factors": 64, "regularization": 50.0, "alpha": 10.0}
    near = {(25.0, 10.0), (100.0, 10.0), (25.0, 5.0), (100.0, 20.0)}
    for items, wide in ((64, set()), (65, {(256, 50.0, 10.0)})):
        rounds = baseline.refinements(train, replace(context, num_items=items), 400)
        tried = [{tuple(settings.values()) for settings, _ in finer(best)} for finer in rounds]
        assert tried == [{(64, *point) for point in near}] * 2 + [wide]
    again = baseline.refitted(baseline.chosen(tuned.settings, tuned.scorer), train, context)
    users, history = np.array([0]), train.rows([7])
    np.testing.assert_allclose(
        again.score(users, history), tuned.scorer.score(users, history), atol=1e-5
    )


def test_without_the_package_the_mend_is_named(planted, monkeypatch):
    monkeypatch.setattr(ials, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install '\.\[ials\]' -c constraints\.txt"):
        tune(
            baseline_named("ials"),
            planted.dataset.part("train"),
            Selection.of(planted.dataset, ("recall@20",), 0),
            Context.of(planted.dataset),
        )
