"""Histories as documents: ``<user> has interacted with`` | ``<item> <item> …``."""

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.config import CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.history import truncated
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import NOBODY, TokenSpace


class CollaborativeCorpus:
    """One document per user with at least one item (paper section 3.2).

    Documents are created on access and are pure functions of (seed, epoch, user).

    Args:
        interactions: training interactions of all users.
        space: layout of the token ids.
        prompts: encoded templates.
        config: order and cap of the histories.
        seed: of the permutations and of dropout.
        user_token_dropout: probability that the user token is ``NOBODY``.
    """

    def __init__(
        self,
        interactions: Interactions,
        space: TokenSpace,
        prompts: Prompts,
        config: CorpusConfig,
        seed: int,
        *,
        user_token_dropout: float = 0.0,
    ) -> None:
        self.users: NDArray[np.int32] = np.flatnonzero(interactions.counts()).astype(np.int32)
        """User of each document."""
        self._interactions = interactions
        self._space = space
        self._prompts = prompts
        self._config = config
        self._seed = seed
        self._user_token_dropout = user_token_dropout

    def __len__(self) -> int:
        return len(self.users)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        prompt = len(self._prompts.history.fill(user=entity(0)))
        counts = self._interactions.counts()[self.users]
        return prompt + np.minimum(counts, self._config.max_items)

    def document(self, index: int, epoch: int) -> Document:
        """One user's document, with its items in this epoch's order."""
        user = int(self.users[index])
        rng = None
        if self._config.order == "random":
            rng = seeds.generator(self._seed, "collaborative", epoch, user)
        dropped = False
        if self._user_token_dropout > 0:
            dropout = seeds.generator(self._seed, "collaborative", "user token", epoch, user)
            dropped = dropout.random() < self._user_token_dropout
        token = NOBODY if dropped else self._space.user(user)
        items = truncated(self._interactions.of(user), self._config, rng)
        return history_document(token, items, self._space, self._prompts)


def history_document(
    user_token: int, items: NDArray[np.int32], space: TokenSpace, prompts: Prompts
) -> Document:
    """A history after the prompt with its user token, or ``NOBODY``."""
    return Document(prompts.history.fill(user=entity(user_token)), space.item(items))
