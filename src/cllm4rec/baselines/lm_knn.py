"""LM-KNN: items whose texts a language model reads alike, beside their words."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.baselines.text_knn import TextScorer, no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer
from cllm4rec.linear.text_vectors import beside, whitened

POWERS = (0.5, 0.75)
"""Whitening; see `whitened`."""
WEIGHTS = (0.5, 1.0, 2.0)
"""Of what the language model read, relative to the words' TF-IDF."""
_KINDS = {str: "text", int: "whole number", bool: "true or false"}


class LmKnn(Baseline):
    """Cosine of TF-IDF and of hidden states of a frozen language model, side by side.

    The first run reads every text (`cllm4rec.models.reading`); later ones find it in the cache.

    Args:
        backbone: name, as ``backbone.name``.
        depth: layers that read.
        max_words: word tokens read of each text.
        echo: read each text twice and take the second time.
        weights: ``random`` for the control row: the words are kept, the layers are not.

    Raises:
        ValueError: a value of another kind or out of range.
    """

    def __init__(
        self,
        backbone: str = "smollm2-135m",
        depth: int = 8,
        max_words: int = 64,
        echo: bool = True,
        weights: Literal["pretrained", "random"] = "pretrained",
    ) -> None:
        for name, value, kind in (
            ("backbone", backbone, str),
            ("depth", depth, int),
            ("max_words", max_words, int),
            ("echo", echo, bool),
        ):
            if type(value) is not kind:  # True is an int too, and no depth
                raise ValueError(f"{name} = {value!r} is no {_KINDS[kind]}")
        if weights not in ("pretrained", "random"):
            raise ValueError(f"weights is {weights!r}; give pretrained or random")
        if min(depth, max_words) < 1:
            raise ValueError("depth and max_words must be at least 1")
        self.settings: dict[str, Any] = {
            "backbone": backbone,
            "depth": depth,
            "max_words": max_words,
            "echo": echo,
            "weights": weights,
        }

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
            yield settings, TextScorer(both)

    def read(self, context: Context) -> NDArray[np.float32]:
        """What the language model reads in the items' words, ``float32 [items, size]``."""
        from cllm4rec.models.reading import Reader  # torch: only where a text is read

        return Reader(**self.settings).vectors(context.words)

    def unavailable(self, context: Context) -> str | None:
        """There must be texts."""
        return no_texts(context)
