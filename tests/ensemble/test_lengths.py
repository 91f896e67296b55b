"""Blend weights by the length of the history: applied row by row, chosen on what few items say."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble import weight
from cllm4rec.ensemble.formula import blend_
from cllm4rec.ensemble.lengths import ByLength, told
from cllm4rec.ensemble.weight import WEIGHTS, ranked_by_weight, weights_by_length
from cllm4rec.evaluation.selection import Selection
from support.examples import examples

POINTS = st.lists(st.integers(1, 30), min_size=1, max_size=5, unique=True).flatmap(
    lambda numbers: st.tuples(
        *(st.tuples(st.just(number), st.floats(0.05, 1)) for number in sorted(numbers))
    )
)


def slowly(points, count: int) -> float:
    """Linear in the logarithm of the count, one at a time."""
    count = max(count, 1)
    if count <= points[0][0]:
        return points[0][1]
    for (below, low), (above, high) in pairwise(points):
        if below <= count <= above:
            share = (math.log(count) - math.log(below)) / (math.log(above) - math.log(below))
            return low + share * (high - low)
    return points[-1][1]


def histories(*counts: int) -> Interactions:
    """Rows of so many items, of a catalogue of sixty."""
    return Interactions.from_lists([list(range(7, 7 + count)) for count in counts], 70)


@given(points=POINTS, counts=st.lists(st.integers(0, 60), min_size=1, max_size=5))
@examples(50)
def test_weights_of_rows_are_those_of_one_after_the_other(points, counts):
    rows = ByLength(points).rows(histories(*counts))
    expected = np.array([slowly(points, count) for count in counts])
    np.testing.assert_allclose(rows.linear[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(rows.share[:, 0], np.minimum(expected / points[-1][1], 1), atol=1e-6)


def blended_slowly(language, linear, history, w, share, unseen):
    """One row of the blend, by the words of `formula`."""
    others = [item for item in range(len(language)) if item not in history]
    mean, std = language[others].mean(), language[others].std()
    own = language.copy()
    for item in history:
        beyond = max(0.0, language[item] - language[others].max())
        own[item] -= (1 - share) * beyond
    own = (own - (1 - share) * mean) / std ** (1 - share)
    wanted = (1 - w) * own + w * linear
    for item in unseen:
        wanted[item] = share * linear[item] + (1 - share) * own.min()
    return wanted


@given(points=POINTS, seed=st.integers(0, 99))
@examples(30)
def test_rows_are_blended_each_with_its_own_weight(points, seed):
    draw = np.random.default_rng(seed)
    history, unseen = histories(1, 2, 7, 40), [3, 5]
    language, linear = (draw.normal(size=(4, 70)) for _ in range(2))
    language[0, 7] = 30  # sure of what it was told
    rows = ByLength(points).rows(history)
    given = [torch.from_numpy(each).float() for each in (language, linear)]
    found = blend_(given[0].clone(), given[1], rows, torch.tensor(unseen))
    for row, count in enumerate((1, 2, 7, 40)):
        w = slowly(points, count)
        share = min(w / points[-1][1], 1.0)
        told_items = set(history.of(row).tolist())
        wanted = blended_slowly(language[row], linear[row], told_items, w, share, unseen)
        np.testing.assert_allclose(found[row], wanted, rtol=1e-4, atol=1e-4)
    whole = blend_(given[0].clone(), given[1], points[-1][1], torch.tensor(unseen))
    np.testing.assert_allclose(found[3], whole[3], rtol=1e-5, atol=1e-6)


def test_items_that_were_added_after_training_are_no_ones_own():
    history = Interactions.from_lists([[1, 8], [9], []], 10)
    rows, items = ByLength(((1, 0.0), (4, 0.5))).rows(history, 8).own
    assert (rows.tolist(), items.tolist()) == ([0], [1])
    rows, items = ByLength(((1, 0.0), (4, 0.5))).rows(history).own
    assert (rows.tolist(), items.tolist()) == ([0, 0, 1], [1, 8, 9])


def test_equal_scores_stay_equal():
    rows = ByLength(((1, 0.0), (4, 0.5))).rows(histories(1))
    language = torch.zeros(1, 70)
    assert blend_(language, torch.zeros(1, 70), rows, None).tolist() == [[0.0] * 70]


@pytest.mark.parametrize(
    "points",
    [
        [],
        [[1]],
        [[2, 0.1], [1, 0.5]],
        [[1, 1.5]],
        [[0, 0.5]],
        [[1.5, 0.5]],
        [["a", "b"]],
        "many",
        1,
    ],
)
def test_what_are_no_points_is_refused(points):
    with pytest.raises(ValueError, match="no weights by length"):
        ByLength.of(points)
    assert ByLength.of(None) is None
    assert ByLength.of([[1, 0.0], [4, 0.5]]) == ByLength(((1, 0.0), (4, 0.5)))


def test_it_says_what_it_is():
    assert str(ByLength(((1, 0.0), (2, 0.15), (4, 0.4)))) == "0 after 1 item, 0.15 after 2"


class Town:
    """Everybody has one of two tastes; the linear half knows it after three items of a history.

    Before, it is sure of what is wrong. The language half knows less, whatever the history.
    """

    weights, unseen, items = WEIGHTS, None, 40

    def __init__(self, users: int) -> None:
        draw = np.random.default_rng(0)
        rows = [(draw.permutation(20)[:6] + 20 * (user % 2)).tolist() for user in range(users)]
        self.known = Interactions.from_lists([row[:5] for row in rows], self.items)
        self.wanted = Interactions.from_lists([row[5:] for row in rows], self.items)
        self.asked: list[int] = []

    def selection(self) -> Selection:
        users = np.arange(self.known.num_users, dtype=np.int32)
        return Selection(users, self.known, self.wanted, ("recall@20",))

    def halves(self, users, history):
        self.asked += history.counts().tolist()
        taste = torch.from_numpy(users % 2)[:, None]
        own = (torch.arange(self.items)[None] // 20 == taste).float()
        noise = torch.from_numpy(np.random.default_rng(1).normal(size=own.shape)).float()
        enough = torch.from_numpy(history.counts() >= 3)[:, None]
        return own + noise, torch.where(enough, own, 1 - own) * 3


def chosen(town: Town, whole: float = 0.8) -> ByLength | None:
    with progress.quiet():
        return weights_by_length(town, town.selection(), whole, 0)


def test_a_half_that_knows_nothing_after_few_items_has_no_weight_there():
    found = chosen(Town(80))
    assert found is not None
    assert [number for number, _ in found.points] == [1, 2, 3, 5]
    weights = dict(found.points)
    assert weights[1] == weights[2] == 0
    assert weights[3] >= 0.3
    assert weights[5] == found.whole == 0.8


def test_the_scorer_is_told_so_many_items_and_lists_none_that_is_known():
    town = Town(30)
    chosen(town)
    assert set(town.asked) == {1, 2, 3}
    some = told(town.known, 1, newest=True)
    weights = {"a": 0.5}
    with progress.quiet():
        users = town.selection().users
        lists = ranked_by_weight(weights, town, users, town.known, "Ranking", some)["a"]
    for row in range(30):
        assert not set(lists.items[row]) & set(town.known.of(row).tolist())


def test_the_linear_half_never_counts_more_after_fewer_items(monkeypatch):
    drawn = iter([0.3, 0.9, 0.6])  # of histories of 3, 2 and 1
    monkeypatch.setattr(weight, "chosen_weight", lambda *_: next(drawn))
    assert chosen(Town(30)) == ByLength(((1, 0.3), (2, 0.3), (3, 0.3), (5, 0.8)))


@pytest.mark.parametrize("whole", [0.0, 1.0])
def test_where_one_half_is_alone_it_stays_alone(whole):
    assert chosen(Town(30), whole) is None


def test_of_many_users_a_sample_decides(monkeypatch):
    monkeypatch.setattr(weight, "MOST_USERS", 10)
    town = Town(60)
    assert chosen(town) == chosen(Town(60))
    assert len(town.asked) == 3 * 10
