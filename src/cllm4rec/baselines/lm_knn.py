"""LM-KNN: items whose texts a language model reads alike, beside their words."""

from collections.abc import Iterator
from itertools import product

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.reads import Reads
from cllm4rec.baselines.text_knn import TextScorer, no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.text_vectors import beside, whitened
from cllm4rec.ranking import Scorer

POWERS = (0.5, 0.75)
"""Whitening; see `whitened`."""
WEIGHTS = (0.5, 1.0, 2.0)
"""Of what the language model read, relative to the words' TF-IDF."""


class LmKnn(Reads):
    """Cosine of TF-IDF and of hidden states of a language model, side by side."""

    def grid(self, num_items: int) -> list[Settings]:
        """Every ``power`` with every ``weight``."""
        return [{"power": power, "weight": weight} for power, weight in product(POWERS, WEIGHTS)]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The texts are read once; a point only scales and weighs."""
        read = self.read(context)
        for settings in self.grid(context.num_items):
            power, weight = float(settings["power"]), float(settings["weight"])
            both = beside(context.text_vectors, whitened(read, power), weight)
            yield settings, TextScorer(self.with_trained(both, train, context))

    def unavailable(self, context: Context) -> str | None:
        """There must be texts."""
        return no_texts(context)
