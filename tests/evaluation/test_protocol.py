import dataclasses
import json

import numpy as np
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.evaluation.protocol import (
    evaluate,
    evaluate_ranking,
    evaluate_scorer,
    evaluated_users,
)
from cllm4rec.ranking import RankedItems, rank_all


def ranked(users, items) -> RankedItems:
    items = np.array(items, np.int32)
    return RankedItems(np.array(users, np.int32), items, np.zeros(items.shape, np.float32))


RELEVANT = Interactions.from_lists([[1], [], [2, 3], [4]], 5)


def test_means_are_over_users_with_a_held_out_item_whatever_the_order_of_the_lists():
    # User 1 has nothing to find and does not count; user 0's hit is first, user 2's are 1 and 2.
    report = evaluate(ranked([2, 1, 3, 0], [[2, 3], [0, 1], [0, 1], [1, 0]]), RELEVANT, num_items=5)
    assert report.users.tolist() == [0, 2, 3]
    assert report.per_user["recall@20"].tolist() == [1, 1, 0]
    assert report.mean["recall@20"] == pytest.approx(2 / 3)
    assert report.mean["mrr"] == pytest.approx(2 / 3)
    assert report.coverage == pytest.approx(4 / 5)
    assert report.missing == 0


def test_a_user_without_a_list_counts_as_zero():
    report = evaluate(ranked([0], [[1]]), RELEVANT, num_items=5)
    assert report.mean["recall@10"] == pytest.approx(1 / 3)
    assert report.missing == 2


def test_report_as_json_has_every_metric_with_its_interval():
    lists = ranked([0, 2, 3], [[1], [2], [0]])
    report = evaluate(lists, RELEVANT, num_items=5, bootstrap=100, seed=3)
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["users"] == 3
    assert found["missing"] == 0
    names = ["recall@10", "recall@20", "recall@40", "ndcg@10", "ndcg@100", "mrr", "coverage@20"]
    assert list(found["metrics"]) == names
    recall = found["metrics"]["recall@20"]
    assert recall["mean"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert recall["low"] < recall["mean"] < recall["high"]
    assert found["metrics"]["coverage@20"] == {"mean": 3 / 5, "low": None, "high": None}


def test_no_interval_unless_asked_for():
    report = evaluate(ranked([0], [[1]]), RELEVANT, num_items=5)
    assert report.interval == {}
    assert report.to_json()["metrics"]["mrr"]["low"] is None


def test_nothing_to_evaluate_is_said():
    with pytest.raises(InputError, match="no user has a held-out item"):
        evaluate(ranked([0], [[1]]), Interactions.from_lists([[], []], 5), num_items=5)


class Oracle:
    """Knows the probabilities behind the planted world."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def score(self, users, history):
        return self.probabilities[users].astype(np.float32)


class Noting:
    """Notes what it was shown."""

    def __init__(self):
        self.users, self.history = [], []

    def score(self, users, history):
        self.users += users.tolist()
        self.history += [set(history.of(row).tolist()) for row in range(len(users))]
        return np.zeros((len(users), history.num_items), np.float32)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_scorer_sees_what_is_known_before_the_part_and_nothing_of_it(planted, part):
    scorer, dataset = Noting(), planted.dataset
    report = evaluate_scorer(scorer, dataset, part)
    assert scorer.users == report.users.tolist() == evaluated_users(dataset, part).tolist()
    earlier = ["train"] if part == "valid" else ["train", "valid"]
    for user, shown in zip(scorer.users, scorer.history, strict=True):
        assert shown == {int(i) for name in earlier for i in dataset.part(name).of(user)}
        assert not shown & set(dataset.part(part).of(user).tolist())


def test_the_planted_truth_beats_its_own_noise(planted):
    world, dataset = planted.world, planted.dataset
    truth = evaluate_scorer(Oracle(world.probabilities), dataset, "test", bootstrap=200)
    shuffled = np.random.default_rng(0).permutation(world.probabilities)
    others = evaluate_scorer(Oracle(shuffled), dataset, "test", bootstrap=200)
    assert truth.interval["ndcg@10"][0] > others.interval["ndcg@10"][1]


def test_lists_score_the_same_as_the_scorer_that_made_them(planted):
    scorer, dataset = Oracle(planted.world.probabilities), planted.dataset
    users = evaluated_users(dataset, "test")
    lists = rank_all(scorer, users[::-1], dataset.known("test"), 100)
    found = evaluate_ranking(lists, dataset, "test", bootstrap=50)
    wanted = evaluate_scorer(scorer, dataset, "test", bootstrap=50)
    assert dataclasses.asdict(found).keys() == dataclasses.asdict(wanted).keys()
    assert found.to_json() == wanted.to_json()


def test_a_list_with_a_known_item_is_refused_with_both_ids(planted):
    dataset = planted.dataset
    user = int(evaluated_users(dataset, "test")[3])
    seen = int(dataset.known("test").of(user)[0])
    with pytest.raises(InputError) as refused:
        evaluate_ranking(ranked([user], [[seen]]), dataset, "test")
    assert repr(dataset.users.id(user)) in str(refused.value)
    assert repr(dataset.items.id(seen)) in str(refused.value)


def test_a_validation_item_is_known_at_test_but_not_at_validation(planted):
    dataset = planted.dataset
    user = int(evaluated_users(dataset, "valid")[0])
    item = int(dataset.part("valid").of(user)[0])
    assert evaluate_ranking(ranked([user], [[item]]), dataset, "valid").mean["mrr"] > 0
    with pytest.raises(InputError, match="known before the test part"):
        evaluate_ranking(ranked([user], [[item]]), dataset, "test")
