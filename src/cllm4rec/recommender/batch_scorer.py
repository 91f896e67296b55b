"""Scoring a shard of users: batches of similar length, blocks of logits, lists."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.linear import ages
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.questions import TokenRows, buckets, question_rows
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.recommender.topk import top_k_
from cllm4rec.tokens.batch import Batch
from cllm4rec.tokens.space import ANONYMOUS, NOBODY

BATCH_TOKENS = 4096
"""Tokens of one forward pass, padding included; passes of half and of twice as many are slower."""
BLOCK_SCORES = 4_000_000
"""Scores held at once: 16 MB, and as much again where a prior is blended in."""
CACHED_SCORES = 600_000
"""Scores that are blended and sorted at once: with a prior's, what a core's own cache takes."""


class Counts(NamedTuple):
    """What was scored: users, and their prompts' tokens without padding."""

    users: int
    tokens: int


class BatchScorer:
    """The lists of `Recommender.recommend`, for many users at once.

    Scores agree with `ModelScorer.score` but for rounding.

    Args:
        scorer: a trained model, and the prior it is blended with.
    """

    def __init__(self, scorer: ModelScorer) -> None:
        self.scorer = scorer
        scorer.model.eval()
        self._share = 0.0 if scorer.prior is None else scorer.share
        self._dense = None
        if scorer.prior is not None and isinstance(scorer.prior.weights, np.ndarray):
            self._dense = torch.from_numpy(np.ascontiguousarray(scorer.prior.weights))

    def rows(self, users: NDArray[np.int32], histories: Interactions) -> TokenRows:
        """What is asked of every user; see `documents.question_rows`."""
        assembly, scorer = self.scorer.assembly, self.scorer
        config = assembly.config
        nobody = NOBODY if config.finetune.target == "next" else ANONYMOUS
        tokens = np.full(len(users), nobody, np.int32)
        if not scorer.anonymous and len(users):
            named = (users >= 0) & scorer.is_trained[np.maximum(users, 0)]
            tokens[named] = assembly.space.user(users[named])
        return question_rows(tokens, histories, assembly.space, assembly.prompts, config)

    def batches(self, users: NDArray[np.int32], histories: Interactions) -> Iterator[Batch]:
        """The batches that :meth:`lists` runs, longest documents first."""
        for _, batch in self.documents(users, histories):
            yield batch

    def lists(
        self, audience: Audience, start: int, end: int, k: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], int]]:
        """The best ``k`` items of the audience's rows ``start`` to ``end``, a batch at a time.

        Yields:
            Rows counted from ``start``, items ``int32 [batch, k]``, scores ``float32 [batch, k]``
            (−1 and −inf where a list is shorter), and the tokens read; each row exactly once.

        Raises:
            RunError: the model has diverged: a score is no number.
        """
        users = audience.numbers[start:end]
        histories = audience.histories.rows(np.arange(start, end))
        for rows, batch in self.documents(users, histories):
            with torch.inference_mode():
                query = self.scorer.model.query(batch)
            tokens = int(batch.lengths.sum())
            for part in self._blocks(len(rows)):
                items, scores = self._ranked(query[part], histories.rows(rows[part]), k)
                yield rows[part], items, scores, tokens
                tokens = 0

    def ranked(self, audience: Audience, k: int) -> RankedItems:
        """The lists of a whole audience small enough to hold them; see :meth:`lists`."""
        ranked = RankedItems.empty(audience.numbers, k)
        with progress.task("Recommending", total=len(audience), unit="user") as task:
            for rows, items, scores, _ in self.lists(audience, 0, len(audience), k):
                ranked.items[rows], ranked.scores[rows] = items, scores
                task.advance(len(rows))
        return ranked

    def queries(self, audience: Audience, start: int, end: int) -> NDArray[np.float32]:
        """The language model's user vectors ``float32 [end - start, size]``."""
        size = self.scorer.assembly.words.shape[1]
        vectors = np.empty((end - start, size), np.float32)
        users = audience.numbers[start:end]
        histories = audience.histories.rows(np.arange(start, end))
        with torch.inference_mode():
            for rows, batch in self.documents(users, histories):
                vectors[rows] = self.scorer.model.query(batch).numpy()
        return vectors

    def documents(
        self, users: NDArray[np.int32], histories: Interactions
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """The same, each with the rows of ``users`` that it asks for."""
        # Longest first, so that a batch is one stretch of the tokens.
        documents = self.rows(users, histories)
        lengths = np.diff(documents.offsets)
        order = np.argsort(-lengths, kind="stable")
        ordered = documents.reordered(order)
        for start, end in buckets(lengths[order], BATCH_TOKENS):
            yield order[start:end], ordered.batch(start, end)

    def _blocks(self, rows: int) -> Iterator[slice]:
        size = max(1, BLOCK_SCORES // max(1, self.scorer.assembly.space.num_items))
        return (slice(at, min(at + size, rows)) for at in range(0, rows, size))

    def _ranked(
        self, query: Tensor, histories: Interactions, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        model = self.scorer.model
        step = max(1, CACHED_SCORES // max(1, self.scorer.assembly.space.num_items))
        parts = []
        with torch.inference_mode():
            scores = torch.addmm(model.head.bias, query, model.embedding.items.T)
            for start in range(0, len(scores), step):
                rows = np.arange(start, min(start + step, len(scores)))
                parts.append(self._listed(scores[start : start + step], histories.rows(rows), k))
        items, best = zip(*parts, strict=True)
        return np.concatenate(items), np.concatenate(best)

    def _listed(
        self, scores: Tensor, histories: Interactions, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        level = None if self.scorer.prior is None else self._blend_(scores, histories)
        seen = torch.from_numpy(histories.users().astype(np.int64))
        known = torch.from_numpy(histories.items.astype(np.int64))
        items, best = top_k_(scores, seen, known, k)
        return items, best if level is None else best + level

    def _blend_(self, scores: Tensor, histories: Interactions) -> NDArray[np.float32]:
        """`ModelScorer.score` of logits, less each row's mean, in place; those means."""
        # `ranking.root_likelihood`
        scores.sub_(scores.amax(dim=1, keepdim=True)).mul_(0.5).exp_()
        _, scale = _centre_(scores)  # as `recommender.blendable` leaves the mean out
        scores.mul_(scale.mul_(1 - self._share))
        if self._share == 0:
            return np.zeros((len(scores), 1), np.float32)
        prior = self._prior(histories)
        level, prior_scale = _centre_(prior)
        scores.addcmul_(prior, prior_scale.mul_(self._share))
        return level.mul_(prior_scale).numpy()

    def _prior(self, histories: Interactions) -> Tensor:
        """`LinearPrior.sums`, by torch where the weights are dense: it uses all cores."""
        assert self.scorer.prior is not None
        if self._dense is None:
            return torch.from_numpy(self.scorer.prior.sums(histories))
        decay = self.scorer.prior.settings["decay"]
        weights = None
        if decay < 1:
            weights = torch.from_numpy((decay ** ages(histories)).astype(np.float32))
        return torch.nn.functional.embedding_bag(
            torch.from_numpy(histories.items.astype(np.int64)),
            self._dense,
            torch.from_numpy(np.asarray(histories.offsets)),
            mode="sum",
            per_sample_weights=weights,
            include_last_offset=True,
        )


def _centre_(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Take each row's mean off; the means, and the factors that make the rows' deviation 1.

    `ranking.standardised` is what they stand for. The factor of a row of equal scores is 1.
    """
    mean = scores.mean(dim=1, keepdim=True)
    scores.sub_(mean)
    spread = torch.linalg.vector_norm(scores, dim=1, keepdim=True) / scores.shape[1] ** 0.5
    return mean, torch.where(spread > 0, 1 / spread, 1.0)
