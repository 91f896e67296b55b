"""Recommendation-oriented finetuning: held-out items after masked histories (section 3.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from cllm4rec import seeds
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompt
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.models.losses import Loss
from cllm4rec.tasks.base import SAMPLE, States, Task
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.regularised import Regularised
from cllm4rec.tokens.batch import Batch, collate, moved
from cllm4rec.tokens.space import ANONYMOUS
from cllm4rec.training.loop import Pass
from cllm4rec.training.stream import Drawn, groups, stream


class HeldOut(Task):
    """Mask a part of each history and predict the masked items at the end of the prompt.

    ``<user> has interacted with <items left>, <user> will interact with``.
    """

    placeholder = ANONYMOUS
    extends = False

    @property
    def question(self) -> Prompt:
        """The recommendation prompt."""
        return self.prompts.recommendation

    def corpus(self, histories: Interactions) -> RecommendationCorpus:
        """One example per user with at least two items."""
        config = self.config.finetune
        return RecommendationCorpus(
            histories,
            self.space,
            self.prompts,
            self.config.corpus,
            self.seed,
            holdout=config.holdout,
            exact=config.holdout_draw == "exact",
            user_token_dropout=config.user_token_dropout,
            words=self.words,
        )

    def objective(
        self, model: CollaborativeLLM, histories: Interactions, content: TokenEmbedding | None
    ) -> "HeldOutObjective":
        """Likelihood of the held-out items, with mutual regularisation."""
        config = self.config.finetune
        return HeldOutObjective(
            model,
            self.corpus(histories),
            self.likelihood(model, histories),
            self.mutual(model, content),
            batch_users=config.batch_users,
            batch_tokens=config.batch_tokens,
            seed=self.seed,
        )

    def likelihood(
        self, model: CollaborativeLLM, histories: Interactions
    ) -> "Callable[[HeldOutBatch], Loss]":
        """The loss of a batch; another loss is another task that overrides this."""
        candidates = Candidates.of(self.config.model, histories, model.device)
        return held_out_likelihood(model, candidates)

    def sample(self, histories: Interactions) -> list[Document]:
        """Prompts of the first users."""
        corpus = self.corpus(histories)
        return [corpus.example(index, 0).document for index in range(min(len(corpus), SAMPLE))]

    def sample_states(self, model: CollaborativeLLM) -> States:
        """Hidden states at the prompts' ends."""
        return model.last_states


class HeldOutBatch(NamedTuple):
    """Prompts with masked histories, and the masked items as their targets."""

    prompts: Batch
    rows: Int[Tensor, " held"]
    items: Int[Tensor, " held"]

    def to(self, device: torch.device) -> "HeldOutBatch":
        """The same batch on ``device``."""
        rows, items = moved(self.rows, device), moved(self.items, device)
        return HeldOutBatch(self.prompts.to(device), rows, items)


def held_out_likelihood(
    model: CollaborativeLLM, candidates: Candidates
) -> Callable[[HeldOutBatch], Loss]:
    """The held-out items of each row among the candidates (eq. 10).

    Args:
        model: asked at each prompt's end.
        candidates: of training.
    """

    def likelihood(batch: HeldOutBatch) -> Loss:
        queries = model.last_queries(batch.prompts)
        return candidates.likelihood(model, queries, batch.rows, batch.items)

    return likelihood


@dataclass(eq=False, kw_only=True)
class HeldOutObjective(Regularised[CollaborativeLLM, RecommendationCorpus, HeldOutBatch]):
    """Likelihood of held-out items after masked histories (eq. 10) + λ · mutual regularisation.

    Attributes:
        batch_users: users per step.
    """

    batch_users: int

    def steps(self, part: Pass) -> Sequence[Sequence[Drawn]]:
        """Random groups of users."""
        return groups(stream(len(self.corpus), part, self.seed), self.batch_users)

    def lengths(self, step: Sequence[Drawn]) -> list[int]:
        """Items and words of each history, those that will be masked among them."""
        lengths: list[int] = self.corpus.history_lengths[[d.index for d in step]].tolist()
        return lengths

    def batches(self, step: Sequence[Drawn]) -> list[HeldOutBatch]:
        """Micro-batches of similar length, on the CPU."""
        if not step:
            return []
        examples = [self.corpus.example(d.index, d.epoch) for d in step]
        lengths = np.array([len(example.document) for example in examples])
        rng = seeds.generator(self.seed, "finetune", "batches", step[0].epoch, step[0].index)
        buckets = self.micro_batches(lengths, rng)
        return [
            HeldOutBatch(
                collate([examples[i].document for i in bucket]),
                torch.from_numpy(
                    np.repeat(np.arange(len(bucket)), [len(examples[i].holdout) for i in bucket])
                ),
                torch.from_numpy(np.concatenate([examples[i].holdout for i in bucket])).long(),
            )
            for bucket in buckets
        ]

    @property
    def products(self) -> torch.dtype:
        """Compute dtype of the queries' products with the items."""
        return torch.float32

    def tokens(self, batch: HeldOutBatch) -> Int[Tensor, " tokens"]:
        """Of prompts and targets, which are both regularised."""
        return torch.cat([batch.prompts.tokens.flatten(), self.model.space.item(batch.items)])

    def counts(self, batch: HeldOutBatch) -> dict[str, int]:
        """Held-out items, or users for a sum, and what the regularisation is divided by."""
        users, tokens = len(batch.prompts.lengths), self.model.space.item(batch.items)
        targets = users if self.mutual.per_document else len(batch.items)
        return {
            "likelihood": targets,
            **self.mutual.counts(users, batch.prompts.tokens, tokens),
        }

    def losses(self, batch: HeldOutBatch) -> dict[str, Loss]:
        """All losses of one micro-batch; regularised are prompts and targets."""
        self.model.train()
        users, targets = len(batch.prompts.lengths), self.model.space.item(batch.items)
        likelihood = self.likelihood(batch.to(self.model.device))
        if self.mutual.per_document:
            likelihood = Loss(likelihood.total, users)
        return {
            "likelihood": likelihood,
            **self.mutual.losses(users, batch.prompts.tokens, targets),
        }
