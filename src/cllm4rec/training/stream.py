"""The documents of a pass: a pure function of (seed, pass)."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from cllm4rec import seeds
from cllm4rec.tokens.batch import TokenDocument
from cllm4rec.training.loop import Pass


@runtime_checkable
class Corpus(Protocol):
    """Documents of one kind, with random access."""

    def __len__(self) -> int: ...

    def lengths(self) -> np.ndarray:
        """Tokens of each document."""
        ...

    def document(self, index: int, epoch: int) -> TokenDocument:
        """The document ``index`` as of ``epoch``."""
        ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn document: its index and epoch."""

    index: int
    epoch: int


def groups(drawn: list[Drawn], size: int) -> list[list[Drawn]]:
    """Consecutive groups of ``size``; the last may be smaller."""
    return [drawn[start : start + size] for start in range(0, len(drawn), size)]


def stream(size: int, part: Pass, seed: int) -> list[Drawn]:
    """Documents of a pass: consecutive ones of an endless stream of shuffled epochs."""
    drawn: list[Drawn] = []
    for epoch in range(part.start // size, (part.start + part.count - 1) // size + 1):
        order = seeds.generator(seed, part.objective, "order", epoch).permutation(size)
        low = max(part.start - epoch * size, 0)
        high = min(part.start + part.count - epoch * size, size)
        drawn += [Drawn(int(index), epoch) for index in order[low:high]]
    return drawn
