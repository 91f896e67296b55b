"""The rule for new items, learned on a tenth of the items taken for new."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.baselines.ease_new_items import NEIGHBOURS, SCALES, TEXT_WEIGHTS
from cllm4rec.baselines.taken_for_new import Calibration, sampled, tenths
from cllm4rec.data.interactions import Interactions
from cllm4rec.recommender.placing import ItemTexts, Rule
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.seeds import generator

MOST_TAKEN = 3_000
"""Items taken for new; more take longer and show no more."""
BLOCK_USERS = 64
"""Histories scored at once."""
MOST_SCORES = 25_000_000
"""Scores held at once, twice: 100 MB each."""
FIRST = 5
"""Places of a list that are seen first."""
MOST_OF_FIRST = 2.0
"""Most that new items should have of these, relative to their share of the whole lists. The offset
sets that share alone: with a large scale all of them stand on top for some users, and Recall@20
does not see it (docs/decisions/0037)."""


def taken_items(train: Interactions, seed: int) -> NDArray[np.int64]:
    """The items that `calibrated` takes for new, ascending."""
    taken = tenths(np.flatnonzero(train.item_counts()), seed)[0]
    if len(taken) > MOST_TAKEN:
        taken = generator(seed, "some taken for new").choice(taken, MOST_TAKEN, replace=False)
    return np.sort(taken)


def calibrated(
    scorer: ModelScorer, train: Interactions, texts: Sequence[ItemTexts], seed: int
) -> tuple[Rule, ItemTexts]:
    """The rule, and the texts' vectors, that find most of the items taken for new.

    A random tenth of the items with interactions is left out of the histories and scored by the
    others; the offset gives them the share of the lists that they have of the interactions. Rules
    that give them more than `MOST_OF_FIRST` times that share of the `FIRST` places come after all
    others, those with the least excess first.

    Args:
        scorer: the trained model.
        train: histories.
        texts: vectors of the items' texts to choose from; of equally good ones the first is kept.
        seed: of the draws.
    """
    known, taken = np.flatnonzero(train.item_counts()), taken_items(train, seed)
    sample = sampled(train, seed)
    few = np.arange(min(sample.num_users, max(1, MOST_SCORES // max(1, scorer.num_items))))
    sample = _with_both(sample.rows(few), taken)
    if not len(taken) or not sample.num_users:
        return Rule(), texts[0]
    history = sample.where(~np.isin(sample.items, taken))
    scores, logits = _scored(scorer, history)
    rest = np.setdiff1d(known, taken)
    counts = np.maximum(history.counts(), 1).astype(np.float32)
    best, found = (Rule(), texts[0]), (-np.inf, -np.inf)
    for vectors, (k, power) in product(texts, NEIGHBOURS):
        own = (history.matrix() @ vectors.items) / counts[:, None] @ vectors.items[taken].T
        rule = Rule(k, power)
        near = vectors.neighbours(vectors.items[taken], rest, rule)
        means = np.ascontiguousarray((near @ scores.T).T)
        calibration = Calibration.of(scores.copy(), means, own, taken, sample)
        language = np.ascontiguousarray((near @ logits.T).T)
        of_logits = Calibration.of(logits.copy(), language, own, taken, sample)
        for text_weight, scale in product(TEXT_WEIGHTS, SCALES):
            weight = text_weight * calibration.ratio
            offset = calibration.offset(weight, scale)
            placed = scale * (means + np.float32(weight) * own) + np.float32(offset)
            first = _first_places(calibration.others, placed)
            excess = max(0.0, first - MOST_OF_FIRST * calibration.share)
            worth = -excess, _recall(calibration.others, placed, taken, sample)
            if worth > found:
                language_offset = of_logits.offset(0.0, 1.0)
                numbers = weight, scale, offset, language_offset, calibration.share
                best, found = (Rule(k, power, *numbers), vectors), worth
    return best


def _with_both(sample: Interactions, taken: NDArray[np.int64]) -> Interactions:
    """Histories that keep something without the items taken for new."""
    kept = sample.where(~np.isin(sample.items, taken)).counts() > 0
    return sample.rows(np.flatnonzero(kept))


def _scored(
    scorer: ModelScorer, history: Interactions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Final scores and logits ``[users, items]`` by the histories alone."""
    users, total = np.full(history.num_users, -1, np.int32), history.num_users
    scores = np.empty((total, scorer.num_items), np.float32)
    logits = np.empty_like(scores)
    with progress.task("Placing items by their texts", total=total, unit="user") as task:
        for start in range(0, total, BLOCK_USERS):
            rows = slice(start, min(start + BLOCK_USERS, total))
            some = history.rows(np.arange(rows.start, rows.stop))
            found = scorer.logits(users[rows], some)
            logits[rows] = found.numpy()
            scores[rows] = scorer.blended(found, some).numpy()
            task.advance(rows.stop - rows.start)
    return scores, logits


def _recall(
    others: NDArray[np.float32],
    placed: NDArray[np.float32],
    taken: NDArray[np.int64],
    sample: Interactions,
) -> float:
    """Fraction of the interactions with items taken for new that reach the lists among all."""
    wanted = np.isin(sample.items, taken)
    users, columns = sample.users()[wanted], np.searchsorted(taken, sample.items[wanted])
    hits = _in_lists(others, placed, others.shape[1])[users, columns]
    return float(hits.mean()) if len(hits) else 0.0


def _first_places(others: NDArray[np.float32], placed: NDArray[np.float32]) -> float:
    """Fraction of the lists' first places that the items taken for new have."""
    length = min(FIRST, others.shape[1])
    return float(_in_lists(others, placed, length).sum() / (len(others) * length))


def _in_lists(
    others: NDArray[np.float32], placed: NDArray[np.float32], length: int
) -> NDArray[np.float64]:
    """Whether each item taken for new is among a list's first ``length``, ``[users, taken]``.

    Of items that are level at the end, as many count as have a place there.
    """
    both = np.concatenate([others, placed], axis=1)
    last = np.partition(both, both.shape[1] - length, axis=1)[:, -length, None]
    level = (length - (both > last).sum(axis=1)) / (both == last).sum(axis=1)
    return np.where(placed == last, level[:, None], placed > last)
