"""Items that come with a text alone: what a trained model keeps to place them among the others.

A new item's scores are its text neighbours' weighted mean, its text's own cosine with the history,
a scale and an offset, as in ``ease-new-items``, but of the whole model's scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix, vstack

from cllm4rec import progress
from cllm4rec.baselines.reads import TRAINED_WEIGHT
from cllm4rec.errors import InputError
from cllm4rec.linear.neighbours import neighbour_weights
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.linear.text_vectors import Whitening, beside
from cllm4rec.run import read_json, write_json

NUMBERS, WORDS = "texts.safetensors", "texts.json"
"""Files of a ``model`` folder."""
POWER = 0.5
"""Of the whitening of what a language model reads, as in ``ease-new-items``."""
NEIGHBOURS_BLOCK = 512
"""Items whose neighbours are found at once, between two signs of progress."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a new item is scored: ``scale · (mean + text_weight · own) + offset``.

    Attributes:
        k: neighbours that are averaged.
        power: of their cosines.
        text_weight: of the mean cosine with the history.
        scale: of both.
        offset: so that items taken for new had their share of the lists.
        language_offset: the same for the language model's logits alone, without text and scale.
        share: that the items taken for new had of the interactions.
    """

    k: int = 10
    power: float = 3.0
    text_weight: float = 0.0
    scale: float = 1.0
    offset: float = 0.0
    language_offset: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ReadTexts:
    """What a language model read in the items' texts.

    Attributes:
        reader: settings of `cllm4rec.models.reading.Reader`.
        whitening: of its vectors.
        items: the items' vectors, ``float32 [items, components]``: whitened, and beside them as the
            trained map has them, each part of length one or zero.
        trained: a map of what is read that was trained on which items stand in one history.
    """

    reader: Mapping[str, Any]
    whitening: Whitening
    items: tuple[NDArray[np.float32], ...]
    trained: Whitening | None = None

    @classmethod
    def of(cls, reader: Mapping[str, Any], read: NDArray[np.float32]) -> "ReadTexts":
        """From what was read in the items' words.

        Args:
            reader: that read.
            read: ``float32 [items, size]``.
        """
        whitening = Whitening.fit(read, POWER)
        return cls(reader, whitening, (whitening.applied(read),))

    def with_trained(self, trained: Whitening, read: NDArray[np.float32]) -> "ReadTexts":
        """The same with a trained map beside the whitening."""
        return replace(self, trained=trained, items=(self.items[0], trained.applied(read)))

    def vectors(self, words: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Vectors of any words, in the parts that ``items`` has."""
        if not words:
            return tuple(each[:0] for each in self.items)
        from cllm4rec.models.reading import Reader  # torch: only where a text is read

        read = Reader(**self.reader).unkept(words)
        maps = (self.whitening,) if self.trained is None else (self.whitening, self.trained)
        return tuple(each.applied(read) for each in maps)


@dataclass(frozen=True, eq=False)
class ItemTexts:
    """The items' texts as vectors, and those of any further text.

    Attributes:
        space: of their words.
        read: what a language model read in them, where it reads for the linear model.
        features: further columns of ``items.*`` that count among the words.
    """

    space: TextSpace
    read: ReadTexts | None = None
    features: tuple[str, ...] = ()

    @cached_property
    def items(self) -> NDArray[np.float32]:
        """Vectors of the items, ``float32 [items, d]``, rows of length one or zero."""
        return self._beside(self.space.placed, () if self.read is None else self.read.items)

    def vectors(
        self, words: Sequence[str], in_space: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of further words, ``float32 [texts, d]``; zeros where nothing is recognised.

        Args:
            words: one text per item.
            in_space: their vectors in ``space``, where they have been made.
        """
        read = () if self.read is None else self.read.vectors(words)
        return self._beside(self.space.vectors(words) if in_space is None else in_space, read)

    def neighbours(
        self, vectors: NDArray[np.float32], known: NDArray[np.int64], rule: Rule
    ) -> csr_matrix:
        """Weights of the known items that are nearest to further vectors, ``[texts, items]``.

        Args:
            vectors: from `vectors`.
            known: numbers of items with interactions, ascending.
            rule: number of neighbours and power.
        """
        size = len(self.items)
        both = np.concatenate([self.items, vectors])
        found = [csr_matrix((0, size), dtype=np.float32)]
        with progress.task("Finding items of like texts", total=len(vectors), unit="item") as task:
            for start in range(size, len(both), NEIGHBOURS_BLOCK):
                new = np.arange(start, min(start + NEIGHBOURS_BLOCK, len(both)))
                near = neighbour_weights(both, new, known, k=rule.k, power=rule.power)
                found.append(near[:, :size])
                task.advance(len(new))
        return vstack(found, format="csr", dtype=np.float32)

    @staticmethod
    def _beside(
        words: NDArray[np.float32], read: tuple[NDArray[np.float32], ...]
    ) -> NDArray[np.float32]:
        for part, weight in zip(read, (1.0, TRAINED_WEIGHT), strict=False):
            words = beside(words, part, weight)
        return words


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """What a run keeps for items that come later: the texts' vectors and the rule."""

    texts: ItemTexts
    rule: Rule

    def write(self, model: Path) -> None:
        """Write into a ``model`` folder that is being made."""
        numbers, read = self.texts.space.arrays(), self.texts.read
        if read is not None:
            whitening = read.whitening
            numbers |= {"read.mean": whitening.mean, "read.axes": whitening.axes}
            numbers["read.items"] = read.items[0]
            if (trained := read.trained) is not None:
                numbers |= {"trained.mean": trained.mean, "trained.axes": trained.axes}
                numbers["trained.items"] = read.items[1]
        whole = {name: np.ascontiguousarray(each) for name, each in numbers.items()}
        save_file(whole, model / NUMBERS)
        record = {
            "rule": asdict(self.rule),
            "features": self.texts.features,
            "reader": None if read is None else dict(read.reader),
            **self.texts.space.names(),
        }
        write_json(model / WORDS, record)

    @classmethod
    def read(cls, folder: Path) -> "Placing":
        """Read what a run, or a saved folder, keeps; its seal must have been verified.

        Raises:
            InputError: it keeps nothing.
        """
        model = folder / "model"
        if not (model / WORDS).is_file():
            raise InputError(
                f"{folder} keeps nothing to place items by: its items have no texts that it was "
                f"trained with, or an earlier version trained it; train again, with texts"
            )
        record, numbers = read_json(model / WORDS), load_file(model / NUMBERS)
        space, read = TextSpace.of_arrays(numbers, record), None
        if record["reader"] is not None:
            whitening = Whitening(numbers["read.mean"], numbers["read.axes"])
            read = ReadTexts(record["reader"], whitening, (numbers["read.items"],))
            if "trained.mean" in numbers:
                trained = Whitening(numbers["trained.mean"], numbers["trained.axes"])
                items = numbers["read.items"], numbers["trained.items"]
                read = replace(read, trained=trained, items=items)
        texts = ItemTexts(space, read, tuple(record["features"]))
        return cls(texts, Rule(**record["rule"]))
