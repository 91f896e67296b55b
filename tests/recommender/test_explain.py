import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.recommender.explain import explain, leave_one_out

NUM_ITEMS = 12

histories = st.lists(st.integers(0, NUM_ITEMS - 1), unique=True, min_size=1, max_size=NUM_ITEMS)


class OrderedScorer:
    """Scores depend on the items and on their order, and a little on the user."""

    weights = np.random.default_rng(0).normal(size=(NUM_ITEMS, NUM_ITEMS))

    def score(self, users, history):
        scores = np.zeros((len(users), NUM_ITEMS), np.float32)
        for row, user in enumerate(users):
            for place, item in enumerate(history.of(row)):
                scores[row] += self.weights[item] * (1 + 0.3 * place) + 0.01 * user
        return scores


@given(histories, st.integers(0, 5))
def test_rows_lack_one_item_each_and_keep_the_order(history, newest):
    rows = leave_one_out(np.array(history, np.int32), NUM_ITEMS, newest)
    assert rows.of(0).tolist() == history
    places = range(max(0, len(history) - newest), len(history))
    assert rows.num_users == 1 + len(places)
    for row, place in enumerate(places, start=1):
        assert rows.of(row).tolist() == history[:place] + history[place + 1 :]


@given(histories, st.lists(st.integers(0, NUM_ITEMS - 1), min_size=1, max_size=4), st.data())
def test_effects_equal_one_by_one_recomputation(history, items, data):
    user = data.draw(st.integers(-1, 5))
    scorer, numbers = OrderedScorer(), np.array(items, np.int32)
    found = explain(scorer, user, np.array(history, np.int32), numbers, NUM_ITEMS)

    def score(rows: list[int], item: int) -> float:
        one = Interactions.from_lists([rows], NUM_ITEMS)
        return float(scorer.score(np.array([user]), one)[0, item])

    for item, given_reasons in zip(items, found, strict=True):
        effects = {
            left_out: score(history, item) - score([i for i in history if i != left_out], item)
            for left_out in history
        }
        positive = sorted((e for e in effects.values() if e > 0), reverse=True)[:3]
        assert [effect for _, effect in given_reasons] == pytest.approx(positive)
        for reason in given_reasons:
            assert reason.effect == pytest.approx(effects[reason.item])


def test_of_equal_effects_the_older_item_comes_first():
    class Counting:
        def score(self, users, history):
            return np.repeat(history.counts()[:, None], NUM_ITEMS, axis=1).astype(np.float32)

    history = np.array([7, 2, 9, 4], np.int32)
    found = explain(Counting(), -1, history, np.array([0], np.int32), NUM_ITEMS)
    assert [reason.item for reason in found[0]] == [7, 2, 9]
