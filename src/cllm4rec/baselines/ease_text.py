"""EASE+text: EASE with item texts as side information (Jeunen et al., RecSys 2020)."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import MANY_USERS, Context, Refinement, Settings
from cllm4rec.baselines.ease import Ease
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import MAX_ITEMS

LARGE_ITEMS = 6_000
"""Catalogues above this get the coarser grid; each ``l2`` takes them 10 seconds or more."""


class EaseText(Ease):
    """EASE on ``XᵀX + α·AAᵀ``, ``A`` the items' text vectors."""

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` × ``alpha``; half and twice the best follow."""
        if num_items > MAX_ITEMS:
            # Among few neighbours texts need less weight, and every point takes a pass.
            points = product((50, 200, 800), (0, 3, 10))
        elif num_items > LARGE_ITEMS:
            points = product((50, 200, 800), (0, 3, 10, 30))
        else:
            points = product((50, 150, 400, 1000), (0, 3, 10, 30, 100))
        return self.marked([{"l2": l2, "alpha": alpha} for l2, alpha in points], num_items)

    def points(self, context: Context) -> list[Settings]:
        """The grid, without ``alpha`` where there are no texts."""
        texts = context.text_vectors.shape[1] > 0
        return [point for point in super().points(context) if texts or not point["alpha"]]

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """Half and twice the best ``l2`` and ``alpha``, in every combination, of many users."""
        if users < MANY_USERS:
            return []
        return [lambda best: self.fitted(around(best), train, context)]

    def text_vectors(
        self, train: Interactions, context: Context, point: Settings
    ) -> NDArray[np.float32]:
        """The items' text vectors."""
        return context.text_vectors

    def unavailable(self, context: Context) -> str | None:
        """As for EASE, and there must be texts."""
        return super().unavailable(context) or no_texts(context)


def around(best: Settings) -> list[Settings]:
    """Half, once and twice the best ``l2`` and ``alpha``, without the best itself."""
    l2, alpha = float(best["l2"]), float(best["alpha"])
    alphas = (alpha / 2, alpha, alpha * 2) if alpha else (0.0,)
    points = product((l2 / 2, l2, l2 * 2), alphas)
    return [{**best, "l2": x, "alpha": a} for x, a in points if (x, a) != (l2, alpha)]
