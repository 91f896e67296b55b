"""Corpora of histories, and truncation: which items a document contains, and in which order."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cllm4rec.config import CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.item_words import ItemWords
from cllm4rec.documents.prompts import Prompts
from cllm4rec.tokens.space import TokenSpace


@dataclass(eq=False)
class HistoryCorpus:
    """One document per user with enough items; each is a pure function of (seed, epoch, user).

    Attributes:
        interactions: training interactions of all users.
        space: layout of the token ids.
        prompts: encoded templates.
        config: order and cap of the histories.
        seed: of every random draw.
        user_token_dropout: probability that a placeholder stands for the user token.
        words: stand behind the items; None for items alone.
    """

    least: ClassVar[int] = 1
    """Fewest items of a user with a document."""

    interactions: Interactions
    space: TokenSpace
    prompts: Prompts
    config: CorpusConfig
    seed: int
    _: KW_ONLY
    user_token_dropout: float = 0.0
    words: ItemWords | None = None

    @cached_property
    def users(self) -> NDArray[np.int32]:
        """User of each document."""
        return np.flatnonzero(self.interactions.counts() >= self.least).astype(np.int32)

    def __len__(self) -> int:
        return len(self.users)

    def with_words(self, document: Document) -> Document:
        """The document with its items' words, where they have some."""
        return document if self.words is None else self.words.within(document, self.space)

    @cached_property
    def history_lengths(self) -> NDArray[np.int64]:
        """Most items and words of each history, before any item is masked."""
        items = np.minimum(self.interactions.counts()[self.users], self.config.max_items)
        if self.words is None:
            return items
        return items + self.words.most_of(self.interactions.rows(self.users))


def truncated(
    items: NDArray[np.int32], config: CorpusConfig, rng: np.random.Generator | None
) -> NDArray[np.int32]:
    """Truncate a history to at most ``config.max_items`` items.

    Args:
        items: the history, oldest first.
        config: order ``random`` (a history is a set, paper section 3.4) or ``time``.
        rng: permutes the items where the order is random; None where it is time.

    Returns:
        A permutation of the items or of a random sample of them; or the newest, oldest first.
    """
    if rng is None:
        return items[max(0, len(items) - config.max_items) :]
    return rng.permutation(items)[: config.max_items]
