"""TextKNN: items whose texts are close to those of the history."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer


def no_texts(context: Context) -> str | None:
    """Why there are no text vectors; None if there are."""
    if context.text_vectors.shape[1] > 0:
        return None
    return "no two items share a word; give titles, texts or reviews"


@dataclass(frozen=True, slots=True, eq=False)
class TextScorer:
    """Mean text vector of the history times each item's.

    Attributes:
        vectors: item text vectors ``float32 [items, d]``.
    """

    vectors: NDArray[np.float32]

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; zeros for an empty history."""
        counts = np.maximum(history.counts(), 1).astype(np.float32)
        means = (history.matrix() @ self.vectors) / counts[:, None]
        return np.asarray(means @ self.vectors.T, dtype=np.float32)


class TextKnn(Baseline):
    """Cosine in the space of the texts' singular vectors; nothing to tune."""

    def grid(self, num_items: int) -> list[Settings]:
        """One point without settings."""
        return [{}]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The one scorer."""
        yield {}, TextScorer(context.text_vectors)

    def unavailable(self, context: Context) -> str | None:
        """There must be texts."""
        return no_texts(context)
