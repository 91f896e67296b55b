"""Histories as documents: ``<user> has interacted with`` | ``<item> <item> …``."""

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.documents.document import Document
from cllm4rec.documents.history import HistoryCorpus, truncated
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import NOBODY, TokenSpace


class CollaborativeCorpus(HistoryCorpus):
    """One document per user with at least one item (paper section 3.2).

    Documents are created on access. A dropped user token is ``NOBODY``.
    """

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document; with words at most so many."""
        prompt = len(self.prompts.history.fill(user=entity(0)))
        return prompt + self.history_lengths

    def document(self, index: int, epoch: int) -> Document:
        """One user's document, with its items in this epoch's order."""
        user = int(self.users[index])
        rng = None
        if self.config.order == "random":
            rng = seeds.generator(self.seed, "collaborative", epoch, user)
        dropped = False
        if self.user_token_dropout > 0:
            dropout = seeds.generator(self.seed, "collaborative", "user token", epoch, user)
            dropped = dropout.random() < self.user_token_dropout
        token = NOBODY if dropped else self.space.user(user)
        items = truncated(self.interactions.of(user), self.config, rng)
        return self.with_words(history_document(token, items, self.space, self.prompts))


def history_document(
    user_token: int, items: NDArray[np.int32], space: TokenSpace, prompts: Prompts
) -> Document:
    """A history after the prompt with its user token, or ``NOBODY``."""
    return Document(prompts.history.fill(user=entity(user_token)), space.item(items))
