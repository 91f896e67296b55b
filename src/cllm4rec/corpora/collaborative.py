"""Histories as documents: ``<user> has interacted with`` | ``<item> <item> …``."""

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.config import CorpusConfig
from cllm4rec.corpora.document import Document
from cllm4rec.corpora.history import shown
from cllm4rec.corpora.prompts import Prompts, entity
from cllm4rec.data.interactions import Interactions
from cllm4rec.tokens.space import TokenSpace


class CollaborativeCorpus:
    """One document per user with at least one item (paper section 3.2).

    Documents are written when asked for and are pure functions of (seed, epoch, user).

    Args:
        interactions: training interactions of all users.
        space: layout of the token ids.
        prompts: encoded templates.
        config: order and cap of the histories.
        seed: of the permutations.
    """

    def __init__(
        self,
        interactions: Interactions,
        space: TokenSpace,
        prompts: Prompts,
        config: CorpusConfig,
        seed: int,
    ) -> None:
        self.users: NDArray[np.int32] = np.flatnonzero(interactions.counts()).astype(np.int32)
        """User of each document."""
        self._interactions = interactions
        self._space = space
        self._prompt = prompts.history
        self._config = config
        self._seed = seed

    def __len__(self) -> int:
        return len(self.users)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        prompt = len(self._prompt.fill(user=entity(0)))
        counts = self._interactions.counts()[self.users]
        return prompt + np.minimum(counts, self._config.max_items)

    def document(self, index: int, epoch: int) -> Document:
        """One user's document, its items in the order of this epoch."""
        user = int(self.users[index])
        rng = None
        if self._config.order == "random":
            rng = seeds.generator(self._seed, "collaborative", epoch, user)
        items = shown(self._interactions.of(user), self._config, rng)
        prompt = self._prompt.fill(user=entity(self._space.user(user)))
        return Document(prompt, self._space.item(items))
