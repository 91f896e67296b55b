"""A baseline for which a language model reads the items' texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cllm4rec.baselines.base import Baseline, Context
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.cooccurrence import cooccurrence
from cllm4rec.linear.text_vectors import beside
from cllm4rec.seeds import generator

if TYPE_CHECKING:
    from cllm4rec.models.reading import Reader

TRAINED_WEIGHT = 0.35
"""Of what is read with training, relative to TF-IDF and what is read without."""
EPOCHS = 6
"""Of a trained reading, unless given."""
NO_ITEMS = np.zeros(0, np.int64)

_KINDS = {str: "text", int: "whole number", bool: "true or false"}


class Reads(Baseline):
    """Settings of the reader.

    Args:
        backbone: name, as ``backbone.name``.
        depth: layers that read; 0, where a baseline can do without: none does.
        max_words: word tokens read of each text.
        echo: read each text twice and take the second time.
        weights: ``random`` for a control row: the words are kept, the layers are drawn by the
            context's seed.
        permuted: for another control row: each item gets what was read of another's text.
        train: also a reading that is trained on which items stand in one history.
        train_layers: of the reader's layers that are trained, the last; 0: a linear map alone.
        epochs: of this training.

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
        train: bool = False,
        train_layers: int = 0,
        epochs: int = EPOCHS,
    ) -> None:
        super().__init__()  # of the class that stands beside this one, if any
        for name, value, kind in (
            ("backbone", backbone, str),
            ("depth", depth, int),
            ("max_words", max_words, int),
            ("echo", echo, bool),
            ("permuted", permuted, bool),
            ("train", train, bool),
            ("train_layers", train_layers, int),
            ("epochs", epochs, int),
        ):
            if type(value) is not kind:  # True is an int too, and no depth
                raise ValueError(f"{name} = {value!r} is no {_KINDS[kind]}")
        if weights not in ("pretrained", "random"):
            raise ValueError(f"weights is {weights!r}; give pretrained or random")
        if max_words < 1 or depth < self.least_depth:
            raise ValueError(f"depth must be at least {self.least_depth}, max_words at least 1")
        if not 0 <= train_layers <= depth or epochs < 1:
            raise ValueError("train_layers must be from 0 to depth, epochs at least 1")
        if not train and (train_layers or epochs != EPOCHS):
            raise ValueError("train_layers and epochs are of a training; give train = true too")
        self.reader: dict[str, Any] = {
            "backbone": backbone,
            "depth": depth,
            "max_words": max_words,
            "echo": echo,
            "weights": weights,
        }
        self.backbone = backbone if depth else None
        self.permuted = permuted
        self.training = {"layers": train_layers, "epochs": epochs} if train and depth else None
        # The layers, whose text is whose, the order in which a training sees the items.
        self.draws_at_random = self.reads and (weights == "random" or permuted or train)

    @property
    def reads(self) -> bool:
        """Whether a language model takes part."""
        return bool(self.reader["depth"])

    def read(self, context: Context) -> NDArray[np.float32]:
        """What the language model reads in the items' words, ``float32 [items, size]``.

        The first run reads every text (`cllm4rec.models.reading`); later ones find it in the cache.
        """
        return self._reader(context).vectors(self._words(context))

    def with_trained(
        self,
        vectors: NDArray[np.float32],
        train: Interactions,
        context: Context,
        without: NDArray[np.int64] = NO_ITEMS,
    ) -> NDArray[np.float32]:
        """Vectors, and beside them what is read with training; without ``train`` as they are.

        Args:
            vectors: ``[items, d]``, rows of length one or zero.
            train: interactions to train on.
            context: the words.
            without: numbers of items that training must not see.
        """
        if self.training is None:
            return vectors
        from cllm4rec.baselines.trained_reading import TrainedReader

        reader = TrainedReader(self._reader(context), **self.training, seed=context.seed)
        pairs = cooccurrence(train.where(~np.isin(train.items, without)))
        return beside(vectors, reader.vectors(self._words(context), pairs), TRAINED_WEIGHT)

    def _reader(self, context: Context) -> "Reader":
        from cllm4rec.models.reading import Reader  # torch: only where a text is read

        drawn = context.seed if self.reader["weights"] == "random" else 0
        return Reader(**self.reader, seed=drawn)

    def _words(self, context: Context) -> Sequence[str]:
        """The text of each item, or of another."""
        if not self.permuted:
            return context.words
        order = generator(context.seed, "permuted texts").permutation(context.num_items)
        return [context.words[number] for number in order]
