"""Training stages as workloads, built as ``stages`` builds them."""

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.speed.flops import Cost, adam, backbone
from benchmarks.speed.parts import Parts
from benchmarks.speed.settings import Profile
from benchmarks.speed.workloads import Amount, Training, Workload
from cllm4rec.assembly import Assembly
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.tokens.batch import Batch
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Pass
from cllm4rec.training.optim import adam as optimiser
from cllm4rec.training.recommendation import FinetuneObjective
from cllm4rec.training.stream import Drawn


class TrainingStages:
    """Each method makes one stage's workload.

    Args:
        parts: at one depth.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def content(self) -> Workload:
        """C-steps: the words of texts."""
        assembly = self.parts.assembly("frozen")
        corpus = self.parts.texts()
        model = assembly.content_llm(self.parts.entities(assembly, 0), corpus.vocabulary())
        return self._language("content", assembly, model, corpus)

    def collaborative(self) -> Workload:
        """L-steps: the items of histories."""
        assembly = self.parts.assembly("frozen")
        corpus = self.parts.histories(assembly, 0.0)
        collaborative = assembly.collaborative_llm(assembly.warm_start())
        self.parts.wake(collaborative, corpus)
        return self._language("collaborative", assembly, collaborative, corpus)

    def _language(
        self,
        stage: str,
        assembly: Assembly,
        model: ContentLLM | CollaborativeLLM,
        corpus: Any,
    ) -> Workload:
        config = assembly.config.pretrain
        objective = LanguageObjective(
            model,
            corpus,
            self.parts.entities(assembly, 1),
            mutual_weight=config.mutual_weight,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        optimizer = optimiser(
            objective.parameters(),
            learning_rate=config.learning_rate,
            maps_rate=config.head_learning_rate_scale,
            weight_decay=config.weight_decay,
        )
        return self._training(stage, assembly, objective, optimizer)

    def holdout(self, stage: str, profile: Profile) -> Workload:
        """Finetuning on held-out items."""
        assembly = self.parts.assembly(profile)
        config = assembly.config.finetune
        corpus = RecommendationCorpus(
            self.parts.dataset.part("train"),
            assembly.space,
            assembly.prompts,
            assembly.config.corpus,
            assembly.config.seed,
            holdout=config.holdout,
            user_token_dropout=config.user_token_dropout,
        )
        model = self.parts.rec_llm(assembly)
        objective = FinetuneObjective(
            model,
            corpus,
            self.parts.entities(assembly, 1) if config.mutual_weight > 0 else None,
            mutual_weight=config.mutual_weight,
            batch_users=config.batch_users,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        return self._finetuning(stage, assembly, objective)

    def next(self) -> Workload:
        """Finetuning on the next item at every position."""
        assembly = self.parts.assembly("next")
        config = assembly.config.finetune
        corpus = self.parts.histories(assembly, config.user_token_dropout)
        objective = LanguageObjective(
            self.parts.rec_llm(assembly),
            corpus,
            self.parts.entities(assembly, 1) if config.mutual_weight > 0 else None,
            mutual_weight=config.mutual_weight,
            batch_tokens=config.batch_tokens,
            seed=assembly.config.seed,
        )
        return self._finetuning("finetune-next", assembly, objective)

    def _finetuning(
        self,
        stage: str,
        assembly: Assembly,
        objective: LanguageObjective | FinetuneObjective,
    ) -> Workload:
        config = assembly.config.finetune
        optimizer = optimiser(
            objective.parameters(),
            learning_rate=config.learning_rate,
            maps_rate=config.head_learning_rate_scale,
            backbone_rate=config.backbone_learning_rate_scale,
            weight_decay=config.weight_decay,
        )
        return self._training(stage, assembly, objective, optimizer)

    def _training(
        self,
        stage: str,
        assembly: Assembly,
        objective: LanguageObjective | FinetuneObjective,
        optimizer: torch.optim.Optimizer,
    ) -> Workload:
        step, mean_tokens = _typical_step(objective, stage)
        shape, itemsize = self.parts.shape(assembly)
        trained = objective.model.backbone.trained
        parameters = sum(p.numel() for p in objective.parameters().values())
        tokens = padded = 0
        cost = Cost()
        batches: Sequence[Any] = objective.batches(step)
        for batch in batches:
            prompts: Batch = getattr(batch, "prompts", batch)
            lengths = prompts.lengths.tolist()
            tokens, padded = tokens + sum(lengths), padded + prompts.tokens.numel()
            is_asked_once = isinstance(objective, FinetuneObjective)
            cost += backbone(
                shape, lengths, itemsize, learning=True, trained=trained, last_only=is_asked_once
            )
            scored = len(lengths) if is_asked_once else objective.counts(batch)["likelihood"]
            cost += self.parts.head(assembly, objective.model, scored, itemsize, learning=True)
        cost += adam(parameters)
        users = tokens / mean_tokens if mean_tokens else len(step)
        amount = Amount(users, tokens, padded, cost)
        return Training(stage, self.parts.depth, objective, optimizer, step, amount)


def _typical_step(
    objective: LanguageObjective | FinetuneObjective, stage: str
) -> tuple[Sequence[Drawn], float]:
    """One step of an epoch, and the mean tokens of a document where steps differ in length.

    Language batches are made of an epoch's documents of similar length: the one in the middle has a
    typical share of padding, but not a typical number of documents. Those of a sample of documents
    would have more padding than the real ones. Finetuning's users are drawn by chance.
    """
    steps = objective.steps(Pass(stage, 0, len(objective.corpus)))
    if not isinstance(objective, LanguageObjective):
        return steps[0], 0.0
    lengths = objective.corpus.lengths()
    by_length = sorted(steps, key=lambda step: max(int(lengths[d.index]) for d in step))
    return by_length[len(by_length) // 2], float(lengths.mean())
