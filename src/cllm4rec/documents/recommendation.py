"""Recommendation prompts with masked histories, for training."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.config import CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import NO_TOKENS, Document
from cllm4rec.documents.history import truncated
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import ANONYMOUS, TokenSpace


class Example(NamedTuple):
    """A masked history and the masked items (paper section 3.4)."""

    document: Document
    """``<user> has interacted with <history>, <user> will interact with``; no main text."""
    history: NDArray[np.int32]
    """Item numbers in the prompt, in its order."""
    holdout: NDArray[np.int32]
    """Masked item numbers, oldest first: the targets. Disjoint from the history."""


class RecommendationCorpus:
    """One example per user with at least two items.

    Examples are created on access and are pure functions of (seed, epoch, user).

    Args:
        interactions: training interactions of all users.
        space: layout of the token ids.
        prompts: encoded templates.
        config: order and cap of the histories.
        seed: of masks, permutations and dropout.
        holdout: fraction of a history that is masked (p_m).
        exact: mask that fraction of every history, rounded down, and at least one item, as the
            paper does; otherwise a fraction that is uniform in (0, p_m].
        user_token_dropout: probability that the user token, in both places, is ``ANONYMOUS``.
    """

    def __init__(
        self,
        interactions: Interactions,
        space: TokenSpace,
        prompts: Prompts,
        config: CorpusConfig,
        seed: int,
        *,
        holdout: float,
        exact: bool = False,
        user_token_dropout: float = 0.0,
    ) -> None:
        self.users: NDArray[np.int32] = np.flatnonzero(interactions.counts() >= 2).astype(np.int32)
        """User of each example."""
        self._interactions = interactions
        self._space = space
        self._prompts = prompts
        self._config = config
        self._seed = seed
        self._holdout = holdout
        self._exact = exact
        self._user_token_dropout = user_token_dropout

    def __len__(self) -> int:
        return len(self.users)

    def example(self, index: int, epoch: int) -> Example:
        """One user's example: at least one item is masked and at least one is left."""
        user = int(self.users[index])
        items = self._interactions.of(user)
        rng = seeds.generator(self._seed, "recommendation", epoch, user)
        is_anonymous = rng.random() < self._user_token_dropout
        # 1 − random() lies in (0, 1], random() in [0, 1).
        fraction = (1.0 - rng.random()) * self._holdout
        wanted = int(self._holdout * len(items)) if self._exact else round(fraction * len(items))
        num_masked = min(max(1, wanted), len(items) - 1)
        is_masked = np.zeros(len(items), bool)
        is_masked[rng.permutation(len(items))[:num_masked]] = True
        order_rng = rng if self._config.order == "random" else None
        history = truncated(items[~is_masked], self._config, order_rng)
        document = question_document(
            ANONYMOUS if is_anonymous else self._space.user(user),
            history,
            self._space,
            self._prompts,
        )
        return Example(document, history, items[is_masked])


def question_document(
    user_token: int, history: NDArray[np.int32], space: TokenSpace, prompts: Prompts
) -> Document:
    """``<user> has interacted with <history>, <user> will interact with``; no main text.

    The history is truncated before it is inserted, so the prompt always keeps its end.
    """
    prompt = prompts.recommendation.fill(user=entity(user_token), items=space.item(history))
    return Document(prompt, NO_TOKENS)
