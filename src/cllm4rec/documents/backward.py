"""Content documents backwards: ``words … describes`` | ``<item>``, for the item head."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec.documents.content import ContentCorpus
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import TokenSpace


class Documents(Protocol):
    """Documents that a training draws from."""

    def __len__(self) -> int: ...

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        ...

    def document(self, index: int, epoch: int) -> Document:
        """One document, as of an epoch."""
        ...


class BackwardCorpus:
    """The words of every content document about a candidate, and after them that item.

    Each text of an item is one, each review too, without its user. Documents about users have no
    counterpart, nor have those about items that are no candidates, which the head cannot predict.

    Args:
        content: documents with their words last.
        space: of the tokens.
        prompts: encoded templates.
        is_candidate: of each item, whether the head is asked for it, ``bool [items]``.
    """

    def __init__(
        self,
        content: ContentCorpus,
        space: TokenSpace,
        prompts: Prompts,
        is_candidate: NDArray[np.bool_],
    ) -> None:
        self.content, self.space, self.prompts = content, space, prompts
        self.items = content.items(space)
        self.numbers = np.flatnonzero((self.items >= 0) & is_candidate[self.items])
        """Of the documents in ``content``."""

    def __len__(self) -> int:
        return len(self.numbers)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        frame = len(self.prompts.described.fill(words=np.empty(0, np.int32))) + 1
        return self.content.word_counts()[self.numbers] + frame

    def document(self, index: int, epoch: int) -> Document:
        """One document; the same in every epoch."""
        number = int(self.numbers[index])
        words = self.content.document(number, epoch).main
        item = self.space.item(int(self.items[number]))
        return Document(self.prompts.described.fill(words=words), entity(item))


class JoinedCorpus:
    """The documents of several corpora, one corpus after another."""

    def __init__(self, parts: Sequence[Documents]) -> None:
        self.parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        return np.concatenate([part.lengths() for part in self.parts])

    def document(self, index: int, epoch: int) -> Document:
        """One document of one of them."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self.parts[number]
        return part.document(index - int(self._ends[number]) + len(part), epoch)
