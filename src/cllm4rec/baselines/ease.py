"""EASE: the closed-form linear autoencoder (Steck, WWW 2019)."""

from collections.abc import Iterator, Sequence

from cllm4rec.baselines.base import Baseline, Context, Refinement, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer, WeightsScorer
from cllm4rec.linear.ease import MAX_ITEMS, gram_matrix, inverse_gram, weights_of


def too_many_items(num_items: int) -> str | None:
    """Why a catalogue of this size has no EASE; None if it has."""
    if num_items <= MAX_ITEMS:
        return None
    return f"{num_items:,} items are more than the {MAX_ITEMS:,} whose matrix fits in memory"


class Ease(Baseline):
    """Item-to-item weights by ridge regression without a diagonal."""

    def grid(self, num_items: int) -> list[Settings]:
        """``l2`` in 20, 100, 300, 1000."""
        return [{"l2": l2} for l2 in (20, 100, 300, 1000)]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The gram matrix is computed once, factored once per ``l2``."""
        return _fitted(self.grid(context.num_items), train)

    def refinements(self, train: Interactions, context: Context) -> Sequence[Refinement]:
        """Half and twice the best ``l2``."""
        return [lambda best: _fitted([{"l2": float(best["l2"]) * by} for by in (0.5, 2.0)], train)]

    def unavailable(self, context: Context) -> str | None:
        """Items × items must fit in memory."""
        return too_many_items(context.num_items)


def _fitted(points: Sequence[Settings], train: Interactions) -> Iterator[tuple[Settings, Scorer]]:
    gram = gram_matrix(train)
    for settings in points:
        yield settings, WeightsScorer(weights_of(inverse_gram(gram, float(settings["l2"]))))
