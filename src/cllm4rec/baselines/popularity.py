"""Popularity: everyone gets the most popular items they do not know."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class PopularityScorer:
    """The same scores for everyone.

    Attributes:
        counts: training interactions of each item, ``float32 [items]``.
    """

    counts: NDArray[np.float32]

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``, a read-only view of one row."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))


class Popularity(Baseline):
    """Training interactions of each item; nothing to tune."""

    def grid(self, num_items: int) -> list[Settings]:
        """One point without settings."""
        return [{}]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The one scorer."""
        yield {}, PopularityScorer(train.item_counts().astype(np.float32))
