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
from cllm4rec.ensemble.formula import blend_, language_half_, language_half_of_rows_
from cllm4rec.ensemble.lengths import ByLength, told
from cllm4rec.ensemble.weight import WEIGHTS, ranked_by_weight, weights_by_length
from cllm4rec.evaluation.selection import Selection
from support.examples import examples

POINTS = st.lists(
    st.tuples(st.integers(1, 30), st.floats(0.05, 1)),
    min_size=1,
    max_size=5,
    unique_by=lambda point: point[0],
).map(lambda points: tuple(zip(*map(sorted, zip(*points, strict=True)), strict=True)))


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


def half(logits):
    """Roots of the softmax over these items, of mean 0 and std 1; or all 0."""
    roots = np.exp((logits - logits.max()) / 2)
    centred = roots - roots.mean()
    return centred / centred.std() if centred.std() > 1e-6 * roots.mean() else centred


def blended_slowly(logits, linear, history, w, share, unseen):
    """One row of the blend, by the words of `formula`."""
    others = [item for item in range(len(logits)) if item not in history]
    of_others = np.zeros(len(logits))
    if others:
        of_others[others] = half(logits[others])
        of_others[list(history)] = of_others[others].max()
    language = share * half(logits) + (1 - share) * of_others
    wanted = (1 - w) * language + w * linear
    for item in unseen:
        wanted[item] = share * linear[item] + (1 - share) * language.min()
    return wanted


@given(points=POINTS, seed=st.integers(0, 99), sure=st.sampled_from([0, 5, 12, 20, 28, 36, 200]))
@examples(50)
def test_rows_are_blended_each_with_its_own_weight(points, seed, sure):
    """Also of a language model that is sure of what it was told, by so many nats."""
    draw = np.random.default_rng(seed)
    history, unseen = histories(1, 2, 7, 40, 0), [3, 5]
    logits, linear = (draw.normal(size=(5, 70)) for _ in range(2))
    logits[:4, 7] += sure
    rows = ByLength(points).rows(history)
    given = [torch.from_numpy(each).float() for each in (logits, linear)]
    language = language_half_of_rows_(given[0].clone(), rows)
    found = blend_(language, given[1], rows, torch.tensor(unseen))
    for row, count in enumerate((1, 2, 7, 40, 0)):
        w = slowly(points, count)
        share = min(w / points[-1][1], 1.0)
        told_items = set(history.of(row).tolist())
        wanted = blended_slowly(logits[row], linear[row], told_items, w, share, unseen)
        np.testing.assert_allclose(found[row], wanted, rtol=2e-3, atol=2e-3)
        alone = ByLength(points).rows(history.rows([row]))
        apart = language_half_of_rows_(given[0][row : row + 1].clone(), alone)
        apart = blend_(apart, given[1][row : row + 1], alone, torch.tensor(unseen))
        np.testing.assert_allclose(found[row], apart[0], rtol=1e-5, atol=1e-6)
    whole = language_half_(given[0].clone())
    whole = blend_(whole, given[1], points[-1][1], torch.tensor(unseen))
    np.testing.assert_allclose(found[3], whole[3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("items", [1, 2, 3, 70])
def test_somebody_who_has_every_item_has_finite_scores_beside_somebody_who_has_one(items):
    history = Interactions.from_lists([list(range(items)), [0]], items)
    logits, linear = (torch.randn(2, items, generator=torch.manual_seed(at)) for at in (0, 1))
    for points in [((1, 0.0), (2, 0.2), (80, 0.6)), ((1, 0.2), (2, 0.6))]:
        rows = ByLength(points).rows(history)
        found = blend_(language_half_of_rows_(logits.clone(), rows), linear, rows, None)
        assert found.isfinite().all()


def test_what_was_told_never_stands_far_above_the_others():
    """At one item told and a share between 0 and 1, the deviation is not one item's alone."""
    logits = torch.randn(1, 1000, generator=torch.manual_seed(0))
    logits[0, 3] += 60
    own = Interactions.from_lists([[3]], 1000)
    for share in (0.0, 0.2, 0.5, 0.9):
        rows = ByLength(((1, share), (4, 1.0))).rows(own)
        language = language_half_of_rows_(logits.clone(), rows)
        others = language[0, torch.arange(1000) != 3]
        assert abs(float(others.std()) - (1 - share)) < 0.02
        assert language[0, 3] <= share * 32 + others.max() + 0.01


def test_a_history_may_count_as_a_longer_one():
    by_length = ByLength(((1, 0.1), (4, 0.5)))
    assert by_length.rows(histories(1, 3), counted=9).linear.tolist() == [[0.5], [0.5]]
    assert by_length.rows(histories(9), counted=0).linear.item() == pytest.approx(0.1)


def test_items_that_were_added_after_training_are_no_ones_own():
    history = Interactions.from_lists([[1, 8], [9], []], 10)
    rows, items = ByLength(((1, 0.0), (4, 0.5))).rows(history, 8).own
    assert (rows.tolist(), items.tolist()) == ([0], [1])
    rows, items = ByLength(((1, 0.0), (4, 0.5))).rows(history).own
    assert (rows.tolist(), items.tolist()) == ([0, 0, 1], [1, 8, 9])


def test_equal_scores_stay_equal():
    rows = ByLength(((1, 0.0), (4, 0.5))).rows(histories(1))
    language = language_half_of_rows_(torch.zeros(1, 70), rows)
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
        [[True, 0.5]],
        [[1, "0.5"]],
        [[1, False]],
        [[1, 10**400]],
        [[2**70, 0.5]],
        [[1, 0.5], [2, 0.4]],
        [[1, 0.0], [3, 0.0]],
        [[1, float("nan")]],
        "many",
        1,
    ],
)
def test_what_are_no_points_is_refused(points):
    with pytest.raises(ValueError, match=r"weights? (by length|of whole)"):
        ByLength.of(points)
    assert ByLength.of(None) is None
    assert ByLength.of([[1, 0.0], [4, 0.5]]) == ByLength(((1, 0.0), (4, 0.5)))


def test_it_says_what_it_is():
    assert (
        str(ByLength(((1, 0.0), (2, 0.15), (3, 0.4), (4, 0.4)))) == "0 after 1 item, 0.15 after 2"
    )


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
        self.named: set[int] = set()

    def selection(self) -> Selection:
        users = np.arange(self.known.num_users, dtype=np.int32)
        return Selection(users, self.known, self.wanted, ("recall@20",))

    def halves(self, users, history):
        self.asked += history.counts().tolist()
        self.named |= set(users.tolist())
        taste = torch.from_numpy(history.items[history.offsets[:-1]] // 20)[:, None]
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
    assert max(weights[1], weights[2]) <= 0.1
    assert weights[3] >= 0.3
    assert weights[5] == found.whole == 0.8


def test_the_scorer_is_told_so_many_items_and_lists_none_that_is_known():
    town = Town(30)
    chosen(town)
    assert set(town.asked) == {1, 2, 3}
    assert town.named == {-1}, "a user's own token would tell the whole history"
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
