"""EASE+text: EASE with item texts as side information (Jeunen et al., RecSys 2020)."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import MANY_USERS, Context, Refinement, Settings
from cllm4rec.baselines.ease import LARGE_ITEMS, Ease
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import MAX_ITEMS
from cllm4rec.ranking import Scorer


class EaseText(Ease):
    """EASE on ``XᵀX + α·AAᵀ``, ``A`` the items' text vectors."""

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` × ``alpha``; half and twice the best follow."""
        l2s = (50, 200, 800) if num_items > LARGE_ITEMS else (50, 150, 400, 1000)
        points = product(l2s, _alphas(num_items))
        return self.marked([{"l2": l2, "alpha": alpha} for l2, alpha in points], num_items)

    def points(self, context: Context) -> list[Settings]:
        """The grid, without ``alpha`` where there are no texts; of a large catalogue one alpha."""
        points = super().points(context)
        if not context.text_vectors.shape[1]:
            return [point for point in points if not point["alpha"]]
        if context.num_items > LARGE_ITEMS:
            middle = _alphas(context.num_items)[-2]
            return [point for point in points if point["alpha"] == middle]
        return points

    def other_alphas(self, train: Interactions, context: Context) -> list[Refinement]:
        """Of a large catalogue: the grid's points that `points` left out, at the best ``l2``."""
        tried = self.points(context)
        texts = context.text_vectors.shape[1] > 0
        if not texts or context.num_items <= LARGE_ITEMS:
            return []

        def others(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            alphas = [x for x in _alphas(context.num_items) if x != best["alpha"]]
            alike = [point for point in tried if point["l2"] == best["l2"]]
            points = [{**point, "alpha": alpha} for alpha in alphas for point in alike]
            return self.fitted(points, train, context)

        return [others]

    def coarse(self, train: Interactions, context: Context, users: int) -> list[Refinement]:
        """The rounds that come first, whatever the number of users."""
        return [*self.other_alphas(train, context), *self.other_rows(train, context, users)]

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """Other rows; half and twice the best ``l2`` and ``alpha``, in every combination."""
        rounds = self.coarse(train, context, users)
        if users >= MANY_USERS:
            rounds.append(lambda best: self.fitted(around(best), train, context))
        return rounds

    def text_vectors(
        self, train: Interactions, context: Context, point: Settings
    ) -> NDArray[np.float32]:
        """The items' text vectors."""
        return context.text_vectors

    def unavailable(self, context: Context) -> str | None:
        """As for EASE, and there must be texts."""
        return super().unavailable(context) or no_texts(context)


def _alphas(num_items: int) -> tuple[float, ...]:
    if num_items > MAX_ITEMS:
        # Among few neighbours texts need less weight, and every point takes a pass.
        return 0, 3, 10
    return (0, 3, 10, 30) if num_items > LARGE_ITEMS else (0, 3, 10, 30, 100)


def around(best: Settings) -> list[Settings]:
    """Half, once and twice the best ``l2`` and ``alpha``, without the best itself."""
    l2, alpha = float(best["l2"]), float(best["alpha"])
    alphas = (alpha / 2, alpha, alpha * 2) if alpha else (0.0,)
    points = product((l2 / 2, l2, l2 * 2), alphas)
    return [{**best, "l2": x, "alpha": a} for x, a in points if (x, a) != (l2, alpha)]
