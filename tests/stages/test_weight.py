"""The language model's scores and the linear model's, blended, saved and told apart."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.ensemble.weight import WEIGHTS, chosen_weight, reports_by_weight
from cllm4rec.errors import IntegrityError
from cllm4rec.evaluation.protocol import Report, evaluate_scorer
from cllm4rec.evaluation.selection import Selection
from cllm4rec.recommender.intact import FORMAT, seal_model
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer


@pytest.fixture
def recommender(trained) -> Recommender:
    with progress.quiet():
        return Recommender.load(trained.run.path)


@pytest.fixture
def scorer(recommender) -> ModelScorer:
    recommender.scorer.by_length = None  # one weight for all; those of short ones have their tests
    return recommender.scorer


@pytest.fixture
def dataset(recommender) -> Dataset:
    return recommender.dataset


def test_scores_are_the_blend_of_both_halves_each_over_its_deviation(scorer, dataset):
    users = np.array([3, 40], np.int32)
    known = dataset.known("test").rows(users)
    logits, linear = scorer.logits(users, known).numpy(), scorer.linear.score(users, known)
    roots = np.exp(logits - logits.max(axis=1, keepdims=True)) ** 0.5
    roots -= roots.mean(axis=1, keepdims=True)
    for share in (0.0, 0.3, 1.0):
        scorer.weight = share
        wanted = (1 - share) * roots / roots.std(axis=1, keepdims=True) + share * linear
        np.testing.assert_allclose(scorer.score(users, known), wanted, rtol=1e-4, atol=1e-4)


def test_items_without_a_training_interaction_have_the_linear_half_alone(scorer, dataset):
    users = np.array([3, 40], np.int32)
    known = dataset.known("test").rows(users)
    whole = replace(scorer, weight=0.4, unseen=None)
    some = replace(whole, unseen=torch.tensor([2, 5]))
    expected = whole.score(users, known)
    expected[:, [2, 5]] = scorer.linear.score(users, known)[:, [2, 5]]
    np.testing.assert_array_equal(some.score(users, known), expected)
    alone = replace(whole, weight=0.0)
    np.testing.assert_array_equal(
        replace(alone, unseen=some.unseen).score(users, known), alone.score(users, known)
    )


def test_those_of_a_loaded_model_are_its_logs(scorer, dataset, trained):
    train = dataset.part("train")
    others = ModelScorer.of(scorer.model, scorer.task, train.where(train.items != 7)).unseen
    seen = set(train.items.tolist())
    unseen = set() if scorer.unseen is None else set(scorer.unseen.tolist())
    assert unseen == set(range(len(dataset.items))) - seen
    assert set(others.tolist()) == unseen | {7}


def test_every_share_is_judged_as_a_scorer_with_that_share_would_be(scorer, dataset):
    with progress.quiet():
        scorer.unseen = torch.arange(0, len(dataset.items), 2)
        reports = reports_by_weight(scorer, Selection.of(dataset, SELECTED.measures, 0))
        assert tuple(reports) == WEIGHTS
        for share in (0.0, 0.4, 1.0):
            scorer.weight = share
            wanted = evaluate_scorer(scorer, dataset, "valid").mean
            assert reports[share].mean == pytest.approx(wanted, abs=1e-6)
    assert reports[0.0].mean != reports[1.0].mean


def test_without_a_prior_the_language_model_is_all_there_is(scorer, dataset):
    alone = scorer.language_model_alone()
    users = np.array([3], np.int32)
    known = dataset.known("test").rows(users)
    assert alone.score(users, known).tolist() == scorer.logits(users, known).tolist()
    with progress.quiet():
        assert list(reports_by_weight(alone, Selection.of(dataset, SELECTED.measures, 0))) == [0.0]


def test_a_user_token_that_is_never_trained_is_never_used(scorer, dataset):
    config = scorer.task.config
    users = np.array([3, -1], np.int32)
    known = dataset.known("test").rows([3, 3])
    by_token, by_history = scorer.logits(users, known)
    assert (by_token - by_history).abs().max() > 1e-3
    finetune = config.finetune.model_copy(update={"user_token_dropout": 1.0})
    config = config.model_copy(update={"finetune": finetune})
    untrained = type(scorer.task)(config, scorer.task.space, scorer.task.prompts)
    same = replace(scorer, task=untrained).logits(users, known)
    np.testing.assert_allclose(same[0], same[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(same[0], by_history, rtol=1e-4, atol=1e-4)


def test_a_saved_model_holds_the_prior_it_was_trained_beside(trained, scorer, dataset):
    record = json.loads(trained.run.file("model", "model.json").read_text())
    assert record["linear"] == scorer.linear.settings == trained.run.info("finetune")["linear"]
    assert record["blend"] == scorer.weight == trained.run.info("finetune")["blend"]
    names = {path.name for path in trained.run.file("model").iterdir()}
    texts = {f"{name}.{kind}" for name in ("texts", "queries") for kind in ("json", "safetensors")}
    assert names == {"model.json", "model.safetensors", "linear.safetensors", "sha256.json"} | texts
    loaded = Recommender.load(trained.run.path).scorer
    users = np.arange(4, dtype=np.int32)
    known = dataset.known("test").rows(users)
    assert (loaded.linear.score(users, known) == scorer.linear.score(users, known)).all()


def test_a_model_of_another_format_is_refused(trained, tmp_path):
    shutil.copytree(trained.run.file("model"), tmp_path / "model")
    shutil.copytree(trained.run.file("data"), tmp_path / "data")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(IntegrityError, match=f"has format 1; this version reads {FORMAT}"):
        Recommender.load(tmp_path)


@pytest.mark.parametrize("points", [[], "x", [[2, 0.1], [1, 0.5]], [[1, 0.0]], [[1, 10**400]]])
def test_weights_by_length_that_are_none_are_refused_in_one_line(trained, tmp_path, points):
    shutil.copytree(trained.run.path, tmp_path / "run")
    path = tmp_path / "run" / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "blend_by_length": points}))
    (path.parent / "sha256.json").unlink()
    seal_model(path.parent)
    with pytest.raises(IntegrityError, match=r"blend_by_length = .*; train again") as refused:
        Recommender.load(tmp_path / "run")
    assert "\n" not in str(refused.value)


def test_histories_that_count_as_longer_ones_are_blended_as_those(recommender, dataset):
    """So that what is left out of a history does not change the weights of the rest."""
    by_length = ByLength(((1, 0.1), (2, 0.3), (4, 0.8)))
    scorer = replace(recommender.scorer, weight=0.8, by_length=by_length)
    whole = replace(scorer, by_length=None)
    rows = Interactions.from_lists([[1, 2, 3, 5], [1, 2, 3], [2]], len(dataset.items))
    users = np.full(3, -1, np.int32)
    counted = scorer.counting(4).score(users, rows)
    np.testing.assert_allclose(counted, whole.score(users, rows), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(counted[0], scorer.score(users, rows)[0])
    assert np.abs(counted[2] - scorer.score(users, rows)[2]).max() > 0.1


def test_reasons_are_measured_with_the_weights_of_the_whole_history(recommender, dataset):
    user, count = 3, int(dataset.known("recommend").counts()[3])
    by_length = ByLength(((1, 0.0), (count - 1, 0.1), (count, 0.9)))
    recommender.scorer.by_length, recommender.scorer.weight = by_length, 0.9
    items = dataset.known("recommend").of(user)
    other = next(item for item in range(len(dataset.items)) if item not in items)
    given = dataset.users.id(user), dataset.items.id(other)
    found = recommender.explain(*given)
    recommender.scorer.by_length = None
    wanted = recommender.explain(*given)
    assert [reason.item for reason in found] == [reason.item for reason in wanted]
    effects = [reason.effect for reason in wanted]
    assert [reason.effect for reason in found] == pytest.approx(effects, rel=1e-3)


SELECTED = Selection(
    np.zeros(0, np.int32),
    Interactions.from_lists([], 1),
    Interactions.from_lists([], 1),
    ("recall@10", "ndcg@10"),
)


def report_of(per_user: list[float]) -> Report:
    values = np.array(per_user)
    metrics = {name: values / 2 for name in SELECTED.measures}
    means = {name: float(v.mean()) for name, v in metrics.items()}
    return Report(np.arange(len(values)), metrics, means, {}, 0.0, 0)


def test_a_share_that_is_best_for_everyone_is_taken():
    reports = {share: report_of([1 - abs(share - 0.7)] * 9) for share in WEIGHTS}
    assert chosen_weight(reports, SELECTED, 0) == 0.7
    assert chosen_weight({0.0: report_of([0.1, 0.9])}, SELECTED, 0) == 0.0


def test_between_two_shares_that_are_as_good_the_middle_is_taken():
    """One user more would have made it either."""
    half = {0.2: [1.0] * 50 + [0.0] * 50, 0.8: [0.0] * 50 + [1.0] * 50}
    reports = {share: report_of(half.get(share, [0.3] * 100)) for share in WEIGHTS}
    assert chosen_weight(reports, SELECTED, 0) in {0.4, 0.5, 0.6}
    assert chosen_weight(reports, SELECTED, 0) == chosen_weight(reports, SELECTED, 0)


@given(st.integers(0, 100), st.integers(1, 30))
def test_the_settled_share_lies_between_those_that_resamples_choose(seed, users):
    rng = np.random.default_rng(seed)
    reports = {share: report_of(rng.random(users)) for share in WEIGHTS}
    values = np.stack([SELECTED.per_user(report) for report in reports.values()])
    draws = [rng.integers(users, size=users) for _ in range(400)]
    chosen = [WEIGHTS[values[:, draw].mean(axis=1).argmax()] for draw in draws]
    assert abs(chosen_weight(reports, SELECTED, seed) - np.mean(chosen)) < 0.05 + 0.15
