"""EASE+text: EASE with item texts as side information (Jeunen et al., RecSys 2020)."""

from collections.abc import Iterator
from itertools import product

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.baselines.ease import too_many_items
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer, WeightsScorer
from cllm4rec.linear.ease import add_texts, gram_matrix, inverse_gram, weights_of

LARGE_ITEMS = 6_000
"""Catalogues above this get the short grid."""


class EaseText(Baseline):
    """EASE on ``XᵀX + α·AAᵀ``, ``A`` the items' text vectors."""

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` × ``alpha``; a few points only for a large catalogue."""
        if num_items > LARGE_ITEMS:
            return [{"l2": 200, "alpha": alpha} for alpha in (3, 10, 30)]
        points = product((50, 150, 400, 1000), (0, 3, 10, 30, 100))
        return [{"l2": l2, "alpha": alpha} for l2, alpha in points]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """One factorisation per ``l2``; the texts are added to it by Woodbury's identity."""
        gram = gram_matrix(train)
        inverse, inverse_l2 = gram, float("nan")
        for settings in self.grid(context.num_items):
            l2, alpha = float(settings["l2"]), float(settings["alpha"])
            if l2 != inverse_l2:
                inverse, inverse_l2 = inverse_gram(gram, l2), l2
            weights = weights_of(add_texts(inverse, context.text_vectors, alpha))
            yield settings, WeightsScorer(weights)

    def unavailable(self, context: Context) -> str | None:
        """Items × items must fit in memory, and there must be texts."""
        return too_many_items(context.num_items) or no_texts(context)
