"""EASE+text: EASE with item texts as side information (Jeunen et al., RecSys 2020)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context, Refinement, Settings
from cllm4rec.baselines.ease import too_many_items
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer, WeightsScorer
from cllm4rec.linear.ease import add_texts, gram_matrix, inverse_gram, weights_of

LARGE_ITEMS = 6_000
"""Catalogues above this get the coarser grid; each ``l2`` takes them 10 seconds or more."""


class EaseText(Baseline):
    """EASE on ``XᵀX + α·AAᵀ``, ``A`` the items' text vectors."""

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` × ``alpha``; half and twice the best follow."""
        if num_items > LARGE_ITEMS:
            points = product((50, 200, 800), (0, 3, 10, 30))
        else:
            points = product((50, 150, 400, 1000), (0, 3, 10, 30, 100))
        return [{"l2": l2, "alpha": alpha} for l2, alpha in points]

    def points(self, context: Context) -> list[Settings]:
        """The grid, without ``alpha`` where there are no texts."""
        texts = context.text_vectors.shape[1] > 0
        return [point for point in super().points(context) if texts or not point["alpha"]]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """One factorisation per ``l2``; the texts are added to it by Woodbury's identity."""
        return self.fitted(self.points(context), train, context)

    def refinements(self, train: Interactions, context: Context) -> Sequence[Refinement]:
        """Half and twice the best ``l2`` and ``alpha``, in every combination."""
        return [lambda best: self.fitted(around(best), train, context)]

    def fitted(
        self, points: Iterable[Settings], train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """A scorer for each point; those of equal ``l2``, then ``alpha``, stand together.

        Without text vectors, points with another ``alpha`` than 0 are left out.
        """
        gram, vectors = gram_matrix(train), context.text_vectors
        for l2, of_l2 in groupby(points, key=lambda point: float(point["l2"])):
            inverse = inverse_gram(gram, l2)
            for alpha, same in groupby(of_l2, key=lambda point: float(point["alpha"])):
                if alpha and not vectors.shape[1]:
                    continue
                weights = weights_of(add_texts(inverse, vectors, alpha))
                for point in same:
                    yield point, self.scorer(point, weights)

    def scorer(self, point: Settings, weights: NDArray[np.float32]) -> Scorer:
        """The scorer of one point from the weights of its ``l2`` and ``alpha``."""
        return WeightsScorer(weights)

    def unavailable(self, context: Context) -> str | None:
        """Items × items must fit in memory, and there must be texts."""
        return too_many_items(context.num_items) or no_texts(context)


def around(best: Settings) -> list[Settings]:
    """Half, once and twice the best ``l2`` and ``alpha``, without the best itself."""
    l2, alpha = float(best["l2"]), float(best["alpha"])
    alphas = (alpha / 2, alpha, alpha * 2) if alpha else (0.0,)
    points = product((l2 / 2, l2, l2 * 2), alphas)
    return [{"l2": x, "alpha": a} for x, a in points if (x, a) != (l2, alpha)]
