"""Recommendation-oriented finetuning: held-out items after masked histories (paper section 3.4)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from cllm4rec import seeds
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.models.llms import RecLLM
from cllm4rec.models.losses import Loss, holdout_likelihood, mutual_regularisation
from cllm4rec.tokens.batch import Batch, collate, length_buckets
from cllm4rec.training.loop import Pass
from cllm4rec.training.optim import trained_parameters
from cllm4rec.training.stream import Drawn, stream


class FinetuneBatch(NamedTuple):
    """Prompts of masked histories, and the held-out items that are their only target."""

    prompts: Batch
    rows: Int[Tensor, " held"]
    items: Int[Tensor, " held"]

    def to(self, device: torch.device) -> "FinetuneBatch":
        """The same batch on ``device``."""
        return FinetuneBatch(self.prompts.to(device), self.rows.to(device), self.items.to(device))


class FinetuneObjective:
    """Likelihood of held-out items after masked histories (eq. 10), mutually regularised.

    Args:
        model: the recommendation-oriented LLM.
        corpus: users with at least two training items.
        content: the content LLM's token table, fixed; None for no regularisation.
        mutual_weight: λ.
        batch_users: users of one step.
        batch_tokens: tokens of one micro-batch, padding included.
        seed: of order and batches.
    """

    def __init__(
        self,
        model: RecLLM,
        corpus: RecommendationCorpus,
        content: Tensor | None,
        *,
        mutual_weight: float,
        batch_users: int,
        batch_tokens: int,
        seed: int,
    ) -> None:
        self.model = model
        self.corpus = corpus
        self.content = None
        if content is not None and mutual_weight > 0:
            self.content = content.to(model.device)
        self.weights = {"likelihood": 1.0, "mutual": mutual_weight}
        self.batch_users = batch_users
        self.batch_tokens = batch_tokens
        self.seed = seed

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Trained parameters of the model, the backbone's included where it is trained."""
        return trained_parameters(self.model)

    def steps(self, part: Pass) -> Sequence[Sequence[Drawn]]:
        """Random groups of users."""
        drawn = stream(len(self.corpus), part, self.seed)
        return [drawn[i : i + self.batch_users] for i in range(0, len(drawn), self.batch_users)]

    def batches(self, step: Sequence[Drawn]) -> list[FinetuneBatch]:
        """Micro-batches of similar length, on the processor."""
        examples = [self.corpus.example(d.index, d.epoch) for d in step]
        lengths = np.array([len(example.document) for example in examples])
        rng = seeds.generator(self.seed, "finetune", "batches", step[0].epoch, step[0].index)
        buckets = length_buckets(lengths, max_tokens=self.batch_tokens, max_rows=None, rng=rng)
        return [
            FinetuneBatch(
                collate([examples[i].document for i in bucket]),
                torch.from_numpy(
                    np.repeat(np.arange(len(bucket)), [len(examples[i].holdout) for i in bucket])
                ),
                torch.from_numpy(np.concatenate([examples[i].holdout for i in bucket])).long(),
            )
            for bucket in buckets
        ]

    def counts(self, batch: FinetuneBatch) -> dict[str, int]:
        """Held-out items, and entity-token occurrences in prompts and targets."""
        counts = {"likelihood": len(batch.items)}
        if self.content is not None:
            in_prompts = len(self.model.space.entity_rows(batch.prompts.tokens))
            counts["mutual"] = in_prompts + len(batch.items)
        return counts

    def losses(self, batch: FinetuneBatch) -> dict[str, Loss]:
        """Both losses of one micro-batch."""
        self.model.train()
        batch = batch.to(self.model.device)
        logits = self.model.training_logits(batch.prompts)
        losses = {"likelihood": holdout_likelihood(logits, batch.rows, batch.items)}
        if self.content is not None:
            space = self.model.space
            in_prompts = space.entity_rows(batch.prompts.tokens)
            occurrences = torch.cat([in_prompts, space.entity_rows(space.item(batch.items))])
            losses["mutual"] = mutual_regularisation(
                self.model.embedding.entities, self.content, occurrences
            )
        return losses
