"""Next-token likelihood of main texts: L-steps over items, C-steps over words (section 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec import seeds
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.models.losses import Loss, next_token_likelihood
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.tasks.regularised import Regularised
from cllm4rec.tokens.batch import Batch, collate, length_buckets
from cllm4rec.training.loop import Pass
from cllm4rec.training.stream import Corpus, Drawn, groups, stream


@dataclass(eq=False, kw_only=True)
class LanguageObjective(Regularised[ContentLLM | CollaborativeLLM, Corpus, Batch]):
    """Next-token likelihood of main texts + λ · mutual regularisation (paper eqs. 5 and 8).

    Attributes:
        batch_documents: documents per step; 0 for batches of similar length, of ``batch_tokens``.
    """

    batch_documents: int = 0

    def likelihood_alone(self) -> "LanguageObjective":
        """The same objective without regularisation, as in the paper's content warm-up."""
        return replace(self, mutual=Mutual(self.model.embedding, None, 0.0))

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        return self.corpus.lengths()

    def steps(self, part: Pass) -> Sequence[Sequence[Drawn]]:
        """Random groups of documents, or batches of similar length in random order."""
        drawn = stream(len(self.corpus), part, self.seed)
        if self.batch_documents:
            return groups(drawn, self.batch_documents)
        lengths = self._lengths[[d.index for d in drawn]]
        rng = seeds.generator(self.seed, part.objective, "batches", part.start)
        buckets = length_buckets(lengths, max_tokens=self.batch_tokens, max_rows=None, rng=rng)
        return [[drawn[i] for i in bucket] for bucket in buckets]

    def lengths(self, step: Sequence[Drawn]) -> list[int]:
        """Tokens of each document."""
        lengths: list[int] = self._lengths[[d.index for d in step]].tolist()
        return lengths

    def batches(self, step: Sequence[Drawn]) -> list[Batch]:
        """Micro-batches, on the CPU; one where the step is a batch of similar length."""
        if not step:
            return []
        documents = [self.corpus.document(d.index, d.epoch) for d in step]
        if not self.batch_documents:
            return [collate(documents)]
        lengths = self._lengths[[d.index for d in step]]
        buckets = self.micro_batches(lengths, None)
        return [collate([documents[i] for i in bucket]) for bucket in buckets]

    @property
    def products(self) -> torch.dtype:
        """Compute dtype of the queries' products with the candidates."""
        return self.model.dtype

    def tokens(self, batch: Batch) -> Int[Tensor, "documents length"]:
        """Of a micro-batch."""
        return batch.tokens

    def counts(self, batch: Batch) -> dict[str, int]:
        """Scored tokens, and what the regularisation is divided by."""
        scored = len(self.model.scored(batch)[2])
        return {"likelihood": scored, **self.mutual.counts(len(batch.lengths), batch.tokens)}

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """Both losses of one batch."""
        self.model.train()
        likelihood = self.likelihood(batch.to(self.model.device))
        return {"likelihood": likelihood, **self.mutual.losses(len(batch.lengths), batch.tokens)}


def items_likelihood(model: CollaborativeLLM, candidates: Candidates) -> Callable[[Batch], Loss]:
    """Likelihood of every main-text item, the first included (eq. 4).

    Args:
        model: predicts every item from the tokens before it.
        candidates: of training.
    """

    def likelihood(batch: Batch) -> Loss:
        targets = model.space.item_number(model.scored(batch)[2])
        rows = torch.arange(len(targets), device=targets.device)
        return candidates.likelihood(model, model.queries(batch), rows, targets, dtype=model.dtype)

    return likelihood


def words_likelihood(model: ContentLLM) -> Callable[[Batch], Loss]:
    """Likelihood of every main-text word among the head's candidates (eq. 7)."""
    head = model.head

    def likelihood(batch: Batch) -> Loss:
        targets: Tensor = head.index[model.scored(batch)[2]]
        queries = model.queries(batch)
        return next_token_likelihood(
            queries, head.candidates, head.bias, targets, dtype=model.dtype
        )

    return likelihood
