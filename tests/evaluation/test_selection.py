"""What chooses on validation: users, and measures."""

from typing import get_args

import numpy as np
import pytest

from cllm4rec.config import Measure
from cllm4rec.evaluation import selection
from cllm4rec.evaluation.metrics import METRICS
from cllm4rec.evaluation.protocol import evaluate_scorer, evaluated_users
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.fitted import Fitted

MEASURES = ("recall@10", "ndcg@10")


def scorer(num_items: int) -> Fitted:
    rng = np.random.default_rng(0)
    return Fitted(rng.normal(size=(num_items, num_items)).astype(np.float32))


class OfUsers:
    """Scores that depend on the user's number alone."""

    def __init__(self, num_users: int, num_items: int) -> None:
        rng = np.random.default_rng(1)
        self.scores = rng.normal(size=(num_users, num_items)).astype(np.float32)

    def score(self, users, history):
        return self.scores[users]


def test_every_measure_that_can_be_named_is_one_of_the_tables():
    assert set(get_args(Measure)) == set(METRICS)


@pytest.mark.parametrize("measures", [MEASURES, ("recall@20", "recall@40", "ndcg@100")])
def test_few_users_are_all_of_them_and_the_value_is_the_measures_sum(planted, measures):
    dataset = planted.dataset
    chosen = Selection.of(dataset, measures, 0)
    assert chosen.users.tolist() == evaluated_users(dataset, "valid").tolist()
    model = scorer(len(dataset.items))
    wanted = evaluate_scorer(model, dataset, "valid")
    report = chosen.report(model)
    total = sum(wanted.mean[name] for name in measures)
    assert chosen.value(report) == pytest.approx(total, abs=1e-9)
    assert total > 0
    assert chosen.per_user(report).mean() == pytest.approx(total, abs=1e-9)


def test_other_measures_choose_another_candidate(planted):
    """One puts a relevant item 15th for all, the other first for a third of them."""
    dataset = planted.dataset
    num_users, num_items = len(dataset.users), len(dataset.items)
    known, relevant = dataset.known("valid"), dataset.part("valid")
    early = np.zeros((num_users, num_items), np.float32)
    late = np.zeros((num_users, num_items), np.float32)
    for user in evaluated_users(dataset, "valid").tolist():
        others = np.setdiff1d(
            np.arange(num_items), np.r_[known.of(user), relevant.of(user)], assume_unique=False
        )
        late[user, others[:14]] = 2
        late[user, relevant.of(user)[:1]] = 1
        if user % 3 == 0:
            early[user, relevant.of(user)[:1]] = 1
        else:
            early[user, others[:50]] = 1

    def better(measures: tuple[str, ...]) -> str:
        chosen = Selection.of(dataset, measures, 0)
        values = {}
        for name, scores in (("early", early), ("late", late)):
            fixed = OfUsers(1, 1)
            fixed.scores = scores
            values[name] = chosen.value(chosen.report(fixed))
        return max(values, key=values.__getitem__)

    assert better(("recall@10", "ndcg@10")) == "early"
    assert better(("recall@20",)) == "late"


def test_a_scorer_is_asked_by_the_users_own_numbers(planted, monkeypatch):
    monkeypatch.setattr(selection, "MAX_USERS", 20)
    dataset = planted.dataset
    model = OfUsers(len(dataset.users), len(dataset.items))
    chosen = Selection.of(dataset, MEASURES, 0)
    whole = evaluate_scorer(model, dataset, "valid")
    places = np.searchsorted(whole.users, chosen.users)
    for name in MEASURES:
        found = chosen.report(model).per_user[name]
        assert found.tolist() == whole.per_user[name][places].tolist()


def test_of_many_users_some_are_drawn_and_the_seed_decides_whom(planted, monkeypatch):
    monkeypatch.setattr(selection, "MAX_USERS", 20)
    dataset = planted.dataset
    first, again, other = (
        Selection.of(dataset, MEASURES, seed).users.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first == sorted(set(first))
    assert len(first) == 20
    assert set(first) <= set(evaluated_users(dataset, "valid").tolist())


def test_fewer_may_be_asked_for(planted):
    few = Selection.of(planted.dataset, MEASURES, 0, 10)
    assert len(few.users) == 10 < len(Selection.of(planted.dataset, MEASURES, 0).users)


def test_every_row_is_its_users_own(planted, monkeypatch):
    monkeypatch.setattr(selection, "MAX_USERS", 20)
    dataset = planted.dataset
    chosen = Selection.of(dataset, MEASURES, 3)
    for row, user in enumerate(chosen.users.tolist()):
        assert chosen.known.of(row).tolist() == dataset.known("valid").of(user).tolist()
        assert chosen.relevant.of(row).tolist() == dataset.part("valid").of(user).tolist()
