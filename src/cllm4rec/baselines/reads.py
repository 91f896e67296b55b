"""A baseline for which a frozen language model reads the items' texts."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context
from cllm4rec.seeds import generator

_KINDS = {str: "text", int: "whole number", bool: "true or false"}


class Reads(Baseline):
    """Settings of the reader.

    Args:
        backbone: name, as ``backbone.name``.
        depth: layers that read; 0, where a baseline can do without: none does.
        max_words: word tokens read of each text.
        echo: read each text twice and take the second time.
        weights: ``random`` for a control row: the words are kept, the layers are not.
        permuted: for another control row: each item gets what was read of another's text.

    Raises:
        ValueError: a value of another kind or out of range.
    """

    least_depth: ClassVar[int] = 1
    """0 if the baseline can do without a reader."""

    def __init__(
        self,
        backbone: str = "smollm2-135m",
        depth: int = 8,
        max_words: int = 64,
        echo: bool = True,
        weights: Literal["pretrained", "random"] = "pretrained",
        permuted: bool = False,
    ) -> None:
        super().__init__()  # of the class that stands beside this one, if any
        for name, value, kind in (
            ("backbone", backbone, str),
            ("depth", depth, int),
            ("max_words", max_words, int),
            ("echo", echo, bool),
            ("permuted", permuted, bool),
        ):
            if type(value) is not kind:  # True is an int too, and no depth
                raise ValueError(f"{name} = {value!r} is no {_KINDS[kind]}")
        if weights not in ("pretrained", "random"):
            raise ValueError(f"weights is {weights!r}; give pretrained or random")
        if max_words < 1 or depth < self.least_depth:
            raise ValueError(f"depth must be at least {self.least_depth}, max_words at least 1")
        self.reader: dict[str, Any] = {
            "backbone": backbone,
            "depth": depth,
            "max_words": max_words,
            "echo": echo,
            "weights": weights,
        }
        self.permuted = permuted

    @property
    def reads(self) -> bool:
        """Whether a language model takes part."""
        return bool(self.reader["depth"])

    def read(self, context: Context) -> NDArray[np.float32]:
        """What the language model reads in the items' words, ``float32 [items, size]``.

        The first run reads every text (`cllm4rec.models.reading`); later ones find it in the cache.
        """
        from cllm4rec.models.reading import Reader  # torch: only where a text is read

        vectors = Reader(**self.reader).vectors(context.words)
        if self.permuted:
            vectors = vectors[generator(context.seed, "permuted texts").permutation(len(vectors))]
        return vectors
