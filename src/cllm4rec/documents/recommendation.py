"""Recommendation prompts with masked histories, for training."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.documents.document import NO_TOKENS, Document
from cllm4rec.documents.history import HistoryCorpus, truncated
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


@dataclass(eq=False, kw_only=True)
class RecommendationCorpus(HistoryCorpus):
    """One example per user with at least two items, created on access.

    A dropped user token is ``ANONYMOUS`` in both places.

    Attributes:
        holdout: fraction of a history that is masked (p_m).
        exact: mask that fraction of every history, rounded down, and at least one item, as the
            paper does; otherwise a fraction that is uniform in (0, p_m].
    """

    least = 2
    holdout: float
    exact: bool = False

    def example(self, index: int, epoch: int) -> Example:
        """One user's example: at least one item is masked and at least one is left."""
        user = int(self.users[index])
        items = self.interactions.of(user)
        rng = seeds.generator(self.seed, "recommendation", epoch, user)
        is_anonymous = rng.random() < self.user_token_dropout
        # 1 − random() lies in (0, 1], random() in [0, 1).
        fraction = (1.0 - rng.random()) * self.holdout
        wanted = int(self.holdout * len(items)) if self.exact else round(fraction * len(items))
        num_masked = min(max(1, wanted), len(items) - 1)
        is_masked = np.zeros(len(items), bool)
        is_masked[rng.permutation(len(items))[:num_masked]] = True
        order_rng = rng if self.config.order == "random" else None
        history = truncated(items[~is_masked], self.config, order_rng)
        document = question_document(
            ANONYMOUS if is_anonymous else self.space.user(user),
            history,
            self.space,
            self.prompts,
        )
        return Example(self.with_words(document), history, items[is_masked])


def question_document(
    user_token: int, history: NDArray[np.int32], space: TokenSpace, prompts: Prompts
) -> Document:
    """``<user> has interacted with <history>, <user> will interact with``; no main text.

    The history is truncated before it is inserted, so the prompt always keeps its end.
    """
    prompt = prompts.recommendation.fill(user=entity(user_token), items=space.item(history))
    return Document(prompt, NO_TOKENS)
