"""EASE + text whose texts a language model reads: the strongest closed form with words."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Context, Refinement, Settings
from cllm4rec.baselines.ease import Ease, too_many_items
from cllm4rec.baselines.ease_text_order import EaseTextOrder
from cllm4rec.baselines.reads import Reads
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.text_vectors import READ_POWER, whitened, with_reading
from cllm4rec.ranking import Scorer

TEXTS = ("read", "both")
"""What the reader found, alone or beside TF-IDF: tried beside ``words``, TF-IDF alone."""
ALPHAS = (1.0, 3.0)
"""Weights of such texts, relative to the best of TF-IDF."""


class EaseLm(Reads, EaseTextOrder):
    """``ease-text-order``, or ``ease-text`` where there is no order, with a reader's vectors.

    The grid is searched with TF-IDF. Where texts help, a language model then reads them, and
    validation says whether its vectors take the place of TF-IDF, stand beside it, or neither. So
    nothing is read where texts help nothing.
    """

    least_depth: ClassVar[int] = 0

    def grid(self, num_items: int) -> list[Settings]:
        """That of ``ease-text-order``, with TF-IDF."""
        return [{**point, "texts": "words"} for point in super().grid(num_items)]

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """What is read comes before the finer rounds of ``ease-text-order``."""

        def reading(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            alpha = float(best["alpha"])
            if not alpha:
                return iter(())
            points: list[Settings] = [
                {**best, "texts": texts, "alpha": alpha * by} for texts in TEXTS for by in ALPHAS
            ]
            return self.fitted(self.aged(points, context), train, context)

        coarse = self.coarse(train, context, users)
        return [*coarse, reading, *super().refinements(train, context, users)[len(coarse) :]]

    def text_vectors(
        self, train: Interactions, context: Context, point: Settings
    ) -> NDArray[np.float32]:
        """TF-IDF, what the reader found, or both side by side."""
        if point["texts"] == "words":
            return context.text_vectors
        read = self.read(context)
        if point["texts"] == "read":
            return self.with_trained(whitened(read, READ_POWER), train, context)
        return self.with_trained(with_reading(context.text_vectors, read), train, context)

    def unavailable(self, context: Context) -> str | None:
        """Items × items must fit in memory; there must be texts, and a reader."""
        if not self.reads:
            return "no layer reads the texts; give a depth of 1 or more"
        too_many = Ease.unavailable(self, context) or too_many_items(context.num_items)
        return too_many or no_texts(context)
