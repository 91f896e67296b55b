"""Scoring with a trained model: one forward pass per user for the whole catalogue (section 3.5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import (
    blend_,
    language_half_,
    language_half_of_rows_,
    linear_half_,
    unseen_items,
)
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.ensemble.weight import WEIGHTS
from cllm4rec.linear.ordered import aged_matrix
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.recommender.added import AddedScores
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
        by_length: weights after few items; None: that one for all.
        counted: number of items that every history counts as, for ``by_length``; None: its own.
        unseen: numbers of the items without a training interaction; see `blend_`.
        anonymous: use histories only, never user tokens.
        added: scores items that were added after training; their tokens are in ``model``.
    """

    model: CollaborativeLLM
    task: Task
    trained_users: NDArray[np.bool_]
    linear: LinearModel | None = None
    weight: float = 0.0
    by_length: ByLength | None = None
    counted: int | None = None
    unseen: Tensor | None = None
    anonymous: bool = False
    added: AddedScores | None = None

    def __post_init__(self) -> None:
        if self.task.config.finetune.user_token_dropout == 1:
            self.anonymous = True

    @classmethod
    def of(
        cls,
        model: CollaborativeLLM,
        task: Task,
        train: Interactions,
        linear: LinearModel | None = None,
        weight: float = 0.0,
        by_length: ByLength | None = None,
    ) -> "ModelScorer":
        """A model that was trained, or will be, on these histories."""
        return cls(
            model=model,
            task=task,
            trained_users=train.counts() > 0,
            linear=linear,
            weight=weight,
            by_length=by_length,
            unseen=unseen_items(train),
        )

    @property
    def weights(self) -> Sequence[float]:
        """Candidate blend weights; only 0 without a linear model."""
        return (0.0,) if self.linear is None else WEIGHTS

    @property
    def weights_by_length(self) -> list[list[float]] | None:
        """Points of ``by_length``, as `ByLength.of` takes them."""
        return None if self.by_length is None else [list(each) for each in self.by_length.points]

    @property
    def num_items(self) -> int:
        """Items of the catalogue."""
        return self.task.space.num_items

    def counting(self, items: int) -> "ModelScorer":
        """The same scorer, for which every history counts as one of so many items.

        So scores of a history and of parts of it can be compared: one formula blends them.
        """
        return replace(self, counted=items)

    def language_model_alone(self) -> "ModelScorer":
        """The same scorer without the linear model."""
        added = None if self.added is None else self.added.of_logits()
        return replace(self, linear=None, weight=0.0, by_length=None, added=added)

    def item_vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors ``[items, size]`` and biases ``[items]`` of the language model's item head."""
        vectors = self.model.embedding.items.all().detach().float().cpu().numpy()
        biases = self.model.head.bias.detach().float().cpu().numpy()
        if self.added is not None:
            biases = np.concatenate([biases, self.added.biases_of(biases)])
        return np.ascontiguousarray(vectors), np.ascontiguousarray(biases)

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
        """Logits of the trained items and the linear half of the blend, if there is one."""
        logits = self.logits(users, history)
        return logits, None if self.linear is None else linear_half_(self._linear_sums(history))

    def blended(self, logits: Float[Tensor, "rows trained"], history: Interactions) -> Tensor:
        """Final scores of all items from logits of the trained ones; overwrites them."""
        scores = self._blended(logits, history)
        if self.added is None:
            return scores
        return torch.from_numpy(self.added.beside(scores.numpy(), history))

    def _blended(self, logits: Tensor, history: Interactions) -> Tensor:
        if self.linear is None:
            return logits
        if self.weight == 0:
            return language_half_(logits)
        linear = linear_half_(self._linear_sums(history))
        if self.by_length is None:
            return blend_(language_half_(logits), linear, self.weight, self.unseen)
        rows = self.by_length.rows(history, logits.shape[1], self.counted)
        return blend_(language_half_of_rows_(logits, rows), linear, rows, self.unseen)

    def _linear_sums(self, history: Interactions) -> Tensor:
        """The linear model's scores; an added item of a history counts as its neighbours do."""
        assert self.linear is not None
        if self.added is None:
            return self.linear.sums(history)
        known, affected = self.added.without(history)
        sums = self.linear.sums(known)
        if affected.any():
            matrix = aged_matrix(history, float(self.linear.settings["decay"]))[affected]
            sums[torch.from_numpy(affected)] = self.linear.sums_of(self.added.spread(matrix))
        return sums

    @torch.no_grad()
    def logits(
        self, users: NDArray[np.int32], history: Interactions
    ) -> Float[Tensor, "users items"]:
        """Logits of the trained items by the language model, on the CPU."""
        logits = torch.empty(len(users), len(self.model.head.bias))
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
