"""Which rule for new items is chosen: the first places that they have, then how many are found."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.baselines.taken_for_new import LISTED
from cllm4rec.data.interactions import Interactions
from cllm4rec.recommender import calibration
from cllm4rec.recommender.calibration import (
    FIRST,
    MOST_OF_FIRST,
    _first_places,
    _recall,
    calibrated,
    taken_items,
)
from cllm4rec.recommender.placing import ItemTexts
from reference.new_items import neighbour_weights, places_of_new

ITEMS, USERS, KINDS = 200, 30, 4
SETTINGS = [*product(calibration.NEIGHBOURS, calibration.TEXT_WEIGHTS, calibration.SCALES)]
ONE_PLACE = 0.01
"""More than one of the users' first places, which rounding may move."""


@dataclass
class Weights:
    """A scorer that is a matrix; its logits are its scores."""

    matrix: np.ndarray
    num_items: int = ITEMS

    def logits(self, users, history):
        return torch.from_numpy(history.matrix() @ self.matrix)

    def blended(self, logits, history):
        return logits


def world(seed: int):
    """Thirty users who like items of one kind, a scorer that knows it, texts that tell it."""
    draw = np.random.default_rng(seed)
    of_kind = np.arange(ITEMS) % KINDS
    rows = [
        draw.choice(np.flatnonzero(of_kind == user % KINDS), draw.integers(8, 30), replace=False)
        for user in range(USERS)
    ]
    alike = (of_kind[:, None] == of_kind).astype(np.float32)
    matrix = (alike * draw.random() + draw.normal(0, 0.1, (ITEMS, ITEMS))).astype(np.float32)
    vectors = (np.eye(KINDS)[of_kind] + draw.normal(0, 0.3, (ITEMS, KINDS))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = ItemTexts(SimpleNamespace(placed=vectors))
    return Weights(matrix), Interactions.from_lists([row.tolist() for row in rows], ITEMS), texts


def measured(rule, scorer, train, texts, seed) -> tuple[float, float, float]:
    """Share of the lists, share of the first places, recall: one user, one item at a time."""
    taken = taken_items(train, seed).tolist()
    rest = [item for item in np.flatnonzero(train.item_counts()).tolist() if item not in taken]
    vectors = texts.items.tolist()
    near = neighbour_weights(vectors, taken, rest, rule.k, rule.power)
    listed, first, found = [], [], []
    for items in (train.of(user).tolist() for user in range(train.num_users)):
        history = [item for item in items if item not in taken]
        scores = sum(scorer.matrix[item].astype(float) for item in history).tolist()
        means = [sum(w * s for w, s in zip(row, scores, strict=True)) for row in near]
        own = [
            sum(float(texts.items[each] @ texts.items[item]) for each in history) / len(history)
            for item in taken
        ]
        new = [
            rule.scale * (mean + rule.text_weight * text) + rule.offset
            for mean, text in zip(means, own, strict=True)
        ]
        others = [scores[item] for item in range(ITEMS) if item not in {*items, *taken}]
        within = places_of_new(others, new, LISTED)
        length = min(LISTED, len(taken))
        listed.append(sum(places_of_new(others, new, length)) / length)
        first.append(sum(places_of_new(others, new, FIRST)) / FIRST)
        found += [within[taken.index(item)] for item in items if item in taken]
    return tuple(float(np.mean(each)) for each in (listed, first, found))


@cache
def every_setting(seed):
    """The rule of each setting when it alone is offered, and what is measured of it."""
    (scorer, train, texts), found = world(seed), []
    with pytest.MonkeyPatch.context() as patch:
        for neighbours, text_weight, scale in SETTINGS:
            patch.setattr(calibration, "NEIGHBOURS", (neighbours,))
            patch.setattr(calibration, "TEXT_WEIGHTS", (text_weight,))
            patch.setattr(calibration, "SCALES", (scale,))
            rule, _ = calibrated(scorer, train, [texts], seed)
            found.append((rule, *measured(rule, scorer, train, texts, seed)))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_of_the_rules_that_hold_the_limit_of_first_places_the_one_that_finds_most_is_chosen(seed):
    scorer, train, texts = world(seed)
    chosen, _ = calibrated(scorer, train, [texts], seed)
    limit = MOST_OF_FIRST * chosen.share
    rules = every_setting(seed)
    holding = [recall for _, _, first, recall in rules if first <= limit - ONE_PLACE]
    [(listed, first, recall)] = [rest for rule, *rest in rules if rule == chosen]
    assert listed == pytest.approx(chosen.share, abs=0.02)
    assert holding, "a world in which none does shows nothing"
    assert len(holding) < len(rules), "nor one in which all do"
    assert first <= limit + ONE_PLACE
    assert recall >= max(holding) - ONE_PLACE


def test_where_no_rule_holds_the_limit_the_least_excess_decides(monkeypatch):
    scorer, train, texts = world(0)
    least = min(first for _, _, first, _ in every_setting(0))
    monkeypatch.setattr(calibration, "MOST_OF_FIRST", 0.0)
    chosen, _ = calibrated(scorer, train, [texts], 0)
    first = measured(chosen, scorer, train, texts, 0)[1]
    assert first == pytest.approx(least, abs=ONE_PLACE)


@given(st.data())
def test_level_items_have_the_part_of_a_place_that_chance_would_give_them(data):
    users, size, number = (data.draw(st.integers(1, 4)) for _ in range(3))
    rows = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    others = -np.sort(-np.array([data.draw(rows) for _ in range(users)], np.float32))
    rows = st.lists(st.integers(0, 3), min_size=number, max_size=number)
    new = np.array([data.draw(rows) for _ in range(users)], np.float32)
    pairs = [*zip(others.tolist(), new.tolist(), strict=True)]
    slow = [places_of_new(one, some, min(FIRST, size)) for one, some in pairs]
    expected = np.sum(slow) / (users * min(FIRST, size))
    assert _first_places(others, new) == pytest.approx(expected)
    everyone = Interactions.from_lists([[*range(number)]] * users, number)
    slow = [places_of_new(one, some, size) for one, some in pairs]
    assert _recall(others, new, np.arange(number), everyone) == pytest.approx(np.mean(slow))
