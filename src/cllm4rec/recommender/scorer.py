"""Scoring with a trained model: one forward pass per user for the whole catalogue (section 3.5)."""

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
"""Tokens per forward pass, with padding; half and double this were slower."""


@dataclass(eq=False, kw_only=True)
class ModelScorer:
    """Scores users from their histories: a language model, optionally blended with a linear model.

    Attributes:
        model: the trained language model.
        task: that it was finetuned for.
        trained_users: ``bool [users]``; true for users with a trained token.
        linear: the linear model; None without a blend.
        weight: blend weight of ``linear``.
        anonymous: use histories only, never user tokens.
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
        """Candidate blend weights; only 0 without a linear model."""
        return (0.0,) if self.linear is None else WEIGHTS

    @property
    def num_items(self) -> int:
        """Items of the catalogue."""
        return self.task.space.num_items

    def language_model_alone(self) -> "ModelScorer":
        """The same scorer without the linear model."""
        return replace(self, linear=None, weight=0.0)

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [users, items]``: the blend, or the logits without a linear model.

        Args:
            users: numbers; negative for unknown users. Users without training interactions have
                no token.
            history: known items, one row per entry of ``users``, oldest first.
        """
        return np.asarray(self.blended(self.logits(users, history), history).numpy())

    def halves(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[Float[Tensor, "users items"], Float[Tensor, "users items"] | None]:
        """Both halves of the blend; without a linear model, the logits and None."""
        logits = self.logits(users, history)
        if self.linear is None:
            return logits, None
        return language_half_(logits), linear_half_(self.linear.sums(history))

    def blended(self, logits: Float[Tensor, "rows items"], history: Interactions) -> Tensor:
        """Final scores from logits; overwrites them."""
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
        """Logits of the language model, on the CPU."""
        logits = torch.empty(len(users), self.num_items)
        for rows, queries in self.queries(users, history):
            logits[torch.from_numpy(rows)] = self.model.logits(queries).cpu()
        return logits

    @torch.no_grad()
    def queries(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Iterator[tuple[NDArray[np.int64], Float[Tensor, "batch size"]]]:
        """Yield the language model's query vectors batch by batch, with their rows in ``users``."""
        self.model.eval()
        for rows, batch in self.batches(users, history):
            yield rows, self.model.last_queries(batch.to(self.model.device))

    def batches(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Yield the prompts in batches, longest first, with their rows in ``users``."""
        questions = self.task.questions(self._user_tokens(users), history)
        # Sorted by length, so that each batch is a contiguous slice of the tokens.
        order = np.argsort(-questions.lengths, kind="stable")
        ordered = questions.reordered(order)
        for bucket in length_buckets(
            ordered.lengths, max_tokens=BATCH_TOKENS, max_rows=None, rng=None
        ):
            start, end = int(bucket[0]), int(bucket[-1]) + 1
            offsets, main_starts = ordered.offsets[start : end + 1], ordered.main_starts[start:end]
            yield order[start:end], collate_rows(ordered.tokens, offsets, main_starts)

    def _user_tokens(self, users: NDArray[np.int32]) -> NDArray[np.int32]:
        """User tokens; the placeholder for users whose token was not trained."""
        tokens = np.full(len(users), self.task.placeholder, np.int32)
        if not self.anonymous and len(users):
            named = (users >= 0) & self.trained_users[np.maximum(users, 0)]
            tokens[named] = self.task.space.user(users[named])
        return tokens
