"""The language model's scores and the prior's, blended, saved and told apart."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.ensemble.formula import blendable, blended
from cllm4rec.ensemble.weight import SHARES, blend_reports, settled_share
from cllm4rec.errors import IntegrityError
from cllm4rec.evaluation.protocol import (
    SELECTION,
    Report,
    evaluate_scorer,
    validation_sample,
)
from cllm4rec.recommender.saved import FORMAT, Recommender
from cllm4rec.recommender.scorer import ModelScorer


@pytest.fixture
def scorer(trained) -> ModelScorer:
    with progress.quiet():
        return Recommender.load(trained.run.path).scorer


def test_the_ends_of_a_blend_are_its_halves():
    llm, prior = np.array([[1.0, 3.0]]), np.array([[5.0, -1.0]])
    assert blended(llm, prior, 0.0).tolist() == llm.tolist()
    assert blended(llm, prior, 1.0).tolist() == prior.tolist()
    assert blended(llm, prior, 0.25).tolist() == [[2.0, 2.0]]


def test_a_history_that_says_little_lifts_no_item():
    # Roots of nearly equal probabilities are some 100 of their spreads above zero.
    told, untold = blendable(np.array([[4.0, 0.0, 0.0, 0.0], [0.02, 0.0, 0.01, 0.01]]))
    assert told.mean() == pytest.approx(0, abs=1e-6)
    assert untold.mean() == pytest.approx(0, abs=1e-4)
    assert told[0] > untold[0], "the first item has a reason"
    assert blendable(np.ones((1, 3))).tolist() == [[0, 0, 0]]


def test_scores_are_the_blend_of_both_halves_each_over_its_spread(scorer):
    users = np.array([3, 40], np.int32)
    known = scorer.assembly.dataset.known("test").rows(users)
    logits, prior = scorer.llm_logits(users, known), scorer.prior.score(users, known)
    roots = np.exp(logits - logits.max(axis=1, keepdims=True)) ** 0.5
    roots -= roots.mean(axis=1, keepdims=True)
    for share in (0.0, 0.3, 1.0):
        scorer.share = share
        wanted = (1 - share) * roots / roots.std(axis=1, keepdims=True) + share * prior
        np.testing.assert_allclose(scorer.score(users, known), wanted, rtol=1e-4, atol=1e-4)


def test_every_share_is_judged_as_a_scorer_with_that_share_would_be(scorer):
    dataset = scorer.assembly.dataset
    with progress.quiet():
        reports = blend_reports(scorer, validation_sample(dataset, 0))
        assert tuple(reports) == SHARES
        for share in (0.0, 0.4, 1.0):
            scorer.share = share
            wanted = evaluate_scorer(scorer, dataset, "valid").mean
            assert reports[share].mean == pytest.approx(wanted, abs=1e-6)
    assert reports[0.0].mean != reports[1.0].mean


def test_without_a_prior_the_language_model_is_all_there_is(scorer):
    dataset = scorer.assembly.dataset
    alone = ModelScorer(scorer.model, scorer.assembly)
    users = np.array([3], np.int32)
    known = dataset.known("test").rows(users)
    assert alone.score(users, known).tolist() == scorer.llm_logits(users, known).tolist()
    with progress.quiet():
        assert list(blend_reports(alone, validation_sample(dataset, 0))) == [0.0]


def test_a_user_token_that_is_never_trained_is_never_used(scorer):
    config = scorer.assembly.config
    users = np.array([3, -1], np.int32)
    known = scorer.assembly.dataset.known("test").rows([3, 3])
    by_token, by_history = scorer.llm_logits(users, known)
    assert np.abs(by_token - by_history).max() > 1e-3
    finetune = config.finetune.model_copy(update={"user_token_dropout": 1.0})
    untrained = replace(scorer.assembly, config=config.model_copy(update={"finetune": finetune}))
    same = ModelScorer(scorer.model, untrained).llm_logits(users, known)
    np.testing.assert_allclose(same[0], same[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(same[0], by_history, rtol=1e-4, atol=1e-4)


def test_a_saved_model_holds_the_prior_it_was_trained_beside(trained, scorer):
    record = json.loads(trained.run.file("model", "model.json").read_text())
    assert record["prior"] == scorer.prior.settings == trained.run.info("finetune")["prior"]
    assert record["blend"] == scorer.share == trained.run.info("finetune")["blend"]
    names = {path.name for path in trained.run.file("model").iterdir()}
    assert names == {"model.json", "model.safetensors", "prior.safetensors", "sha256.json"}
    loaded = Recommender.load(trained.run.path).scorer
    users = np.arange(4, dtype=np.int32)
    known = scorer.assembly.dataset.known("test").rows(users)
    assert (loaded.prior.score(users, known) == scorer.prior.score(users, known)).all()


def test_a_model_of_another_format_is_refused(trained, tmp_path):
    shutil.copytree(trained.run.file("model"), tmp_path / "model")
    shutil.copytree(trained.run.file("data"), tmp_path / "data")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(IntegrityError, match=f"has format 1; this version reads {FORMAT}"):
        Recommender.load(tmp_path)


def report_of(per_user: list[float]) -> Report:
    values = np.array(per_user)
    metrics = {name: values / 3 for name in SELECTION}
    means = {name: float(v.mean()) for name, v in metrics.items()}
    return Report(np.arange(len(values)), metrics, means, {}, 0.0, 0)


def test_a_share_that_is_best_for_everyone_is_taken():
    reports = {share: report_of([1 - abs(share - 0.7)] * 9) for share in SHARES}
    assert settled_share(reports, 0) == 0.7
    assert settled_share({0.0: report_of([0.1, 0.9])}, 0) == 0.0


def test_between_two_shares_that_are_as_good_the_middle_is_taken():
    """One user more would have made it either."""
    half = {0.2: [1.0] * 50 + [0.0] * 50, 0.8: [0.0] * 50 + [1.0] * 50}
    reports = {share: report_of(half.get(share, [0.3] * 100)) for share in SHARES}
    assert settled_share(reports, 0) in {0.4, 0.5, 0.6}
    assert settled_share(reports, 0) == settled_share(reports, 0)


@given(st.integers(0, 100), st.integers(1, 30))
def test_the_settled_share_lies_between_those_that_resamples_choose(seed, users):
    rng = np.random.default_rng(seed)
    reports = {share: report_of(rng.random(users)) for share in SHARES}
    values = np.stack([sum(r.per_user[m] for m in SELECTION) for r in reports.values()])
    draws = [rng.integers(users, size=users) for _ in range(400)]
    chosen = [SHARES[values[:, draw].mean(axis=1).argmax()] for draw in draws]
    assert abs(settled_share(reports, seed) - np.mean(chosen)) < 0.05 + 0.15
