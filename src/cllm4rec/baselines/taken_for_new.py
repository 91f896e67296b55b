"""Known items that are taken for new: which ones, and the offset at which they get their share."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.neighbours import offset_for_share
from cllm4rec.seeds import generator

TENTHS = 10
"""Draws that hold every known item once, but for up to nine. Over seeds the share of new items in
the lists then has a tenth of the std that it has with one draw; three draws leave half
(docs/decisions/0037)."""
LISTED = 20
"""Length of the lists in which the share of new items is set."""
USERS = 1000
"""Training users whose lists set it."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Scores of items taken for new, and of the others that they compete with.

    Attributes:
        others: each user's best scores of other items, falling.
        means: the neighbours' means of the items taken for new, ``[users, taken]``.
        own: their texts' own scores.
        share: of them among the sampled interactions.
    """

    others: NDArray[np.float32]
    means: NDArray[np.float32]
    own: NDArray[np.float32]
    share: float

    @classmethod
    def of(
        cls,
        scores: NDArray[np.float32],
        means: NDArray[np.float32],
        own: NDArray[np.float32],
        taken: NDArray[np.int64],
        sample: Interactions,
    ) -> "Calibration":
        """From scores made without the items taken for new in the histories.

        Args:
            scores: of all items, ``[users, items]``; overwritten.
            means: the neighbours' means of the items taken for new, ``[users, taken]``.
            own: their texts' own scores.
            taken: numbers of the items taken for new.
            sample: whole histories.
        """
        is_taken = np.isin(sample.items, taken)
        scores[sample.users(), sample.items] = -np.inf
        scores[:, taken] = -np.inf
        share = float(is_taken.mean()) if len(is_taken) else 0.0
        return cls(best_scores(scores), means, own, share)

    @classmethod
    def joined(cls, draws: Iterable["Calibration"]) -> "Calibration":
        """All lists of several draws of as many items each; the share is the draws' mean."""
        some = list(draws)
        return cls(
            np.concatenate([each.others for each in some]),
            np.concatenate([each.means for each in some]),
            np.concatenate([each.own for each in some]),
            float(np.mean([each.share for each in some])),
        )

    @property
    def ratio(self) -> float:
        """Std of the neighbours' means relative to that of the texts' own scores."""
        if self.own.size == 0:
            return 0.0
        return float(self.means.std(axis=1).mean()) / max(float(self.own.std(axis=1).mean()), 1e-9)

    def offset(self, text_weight: float, scale: float) -> float:
        """The offset at which items taken for new get their share of the lists; 0 without any."""
        if not 0 < self.share < 1:
            return 0.0
        new = best_scores(np.float32(scale) * (self.means + np.float32(text_weight) * self.own))
        short = min(self.others.shape[1], new.shape[1])
        return offset_for_share(self.others[:, :short], new[:, :short], self.share)


def tenths(known: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Ten random draws of as many items each, no item twice, ascending; up to nine are in none."""
    order = generator(seed, "taken for new").permutation(known)
    drawn = order[: len(known) // TENTHS * TENTHS]
    return [np.sort(draw) for draw in np.split(drawn, TENTHS)]


def best_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The best scores of each row, falling."""
    kept = min(LISTED, scores.shape[1])
    return -np.sort(np.partition(-scores, kept - 1, axis=1)[:, :kept], axis=1)


def sampled(train: Interactions, seed: int) -> Interactions:
    """Histories of at most `USERS` users with two interactions or more."""
    users = np.flatnonzero(train.counts() >= 2)
    if len(users) > USERS:
        users = generator(seed, "users").choice(users, USERS, replace=False)
    return train.rows(np.sort(users))
