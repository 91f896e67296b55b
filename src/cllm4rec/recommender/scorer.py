"""A trained model as a scorer: the whole catalogue in one forward pass per user (section 3.5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_, language_half_, linear_half_
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.ensemble.weight import WEIGHTS
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.tasks import Task
from cllm4rec.tokens.batch import Batch, collate_rows, length_buckets

BATCH_TOKENS = 4096
"""Tokens of one forward pass, padding included; passes of half and of twice as many are slower."""


@dataclass(eq=False, kw_only=True)
class ModelScorer:
    """Scores users by their histories: a language model, and a linear model where there is one.

    Attributes:
        model: the trained language model.
        task: what it was finetuned for, and is asked.
        trained_users: ``bool [users]``: whose token was trained.
        linear: the other half of the blend; None for none.
        weight: the blend weight of ``linear``.
        anonymous: ask for everyone by history alone, without their user token.
    """

    model: CollaborativeLLM
    task: Task
    trained_users: NDArray[np.bool_]
    linear: LinearModel | None = None
    weight: float = 0.0
    anonymous: bool = False

    def __post_init__(self) -> None:
        if self.task.config.finetune.user_token_dropout == 1:
            self.anonymous = True

    @property
    def weights(self) -> Sequence[float]:
        """Blend weights to choose from; 0 alone without a linear model."""
        return (0.0,) if self.linear is None else WEIGHTS

    @property
    def num_items(self) -> int:
        """Items of the catalogue."""
        return self.task.space.num_items

    def language_model_alone(self) -> "ModelScorer":
        """The same without its linear model."""
        return replace(self, linear=None, weight=0.0)

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [users, items]``: logits, or where there is a linear model the blend.

        Args:
            users: numbers; a negative one, or a user without training interactions, has no token.
            history: known items, one row per entry of ``users``, oldest first.
        """
        return np.asarray(self.blended(self.logits(users, history), history).numpy())

    def halves(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[Float[Tensor, "users items"], Float[Tensor, "users items"] | None]:
        """Both halves of the blend; the logits and None without a linear model."""
        logits = self.logits(users, history)
        if self.linear is None:
            return logits, None
        return language_half_(logits), linear_half_(self.linear.sums(history))

    def blended(self, logits: Float[Tensor, "rows items"], history: Interactions) -> Tensor:
        """Final scores from logits, in their place."""
        if self.linear is None:
            return logits
        language = language_half_(logits)
        if self.weight == 0:
            return language
        return blend_(language, linear_half_(self.linear.sums(history)), self.weight)

    @torch.no_grad()
    def logits(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Float[Tensor, "users items"]:
        """Logits of the language model alone, on the processor."""
        logits = torch.empty(len(users), self.num_items)
        for rows, queries in self.queries(users, history):
            logits[torch.from_numpy(rows)] = self.model.logits(queries).cpu()
        return logits

    @torch.no_grad()
    def queries(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Iterator[tuple[NDArray[np.int64], Float[Tensor, "batch size"]]]:
        """The language model's user vectors, a batch at a time, with their rows of ``users``."""
        self.model.eval()
        for rows, batch in self.batches(users, history):
            yield rows, self.model.last_queries(batch.to(self.model.device))

    def batches(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """The questions in batches, longest first, each with its rows of ``users``."""
        questions = self.task.questions(self._user_tokens(users), history)
        # Longest first, so that a batch is one stretch of the tokens.
        order = np.argsort(-questions.lengths, kind="stable")
        ordered = questions.reordered(order)
        for bucket in length_buckets(
            ordered.lengths, max_tokens=BATCH_TOKENS, max_rows=None, rng=None
        ):
            start, end = int(bucket[0]), int(bucket[-1]) + 1
            offsets, main_starts = ordered.offsets[start : end + 1], ordered.main_starts[start:end]
            yield order[start:end], collate_rows(ordered.tokens, offsets, main_starts)

    def _user_tokens(self, users: NDArray[np.int32]) -> NDArray[np.int32]:
        """Each user's token; the placeholder for one that was never trained."""
        tokens = np.full(len(users), self.task.placeholder, np.int32)
        if not self.anonymous and len(users):
            named = (users >= 0) & self.trained_users[np.maximum(users, 0)]
            tokens[named] = self.task.space.user(users[named])
        return tokens
