"""Training stages as workloads, built by the stages' own builders."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks.speed.parts import Parts, wake
from benchmarks.speed.settings import Profile
from benchmarks.speed.workloads import Amount, Training, Workload, tokens_read
from cllm4rec.errors import InputError
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.planning.flops import adam, backbone
from cllm4rec.stages.epochs import finetuning_optimizer
from cllm4rec.stages.finetune import finetuning_objectives
from cllm4rec.stages.pretrain import pretraining_objectives, pretraining_optimizer
from cllm4rec.stages.setup import Setup
from cllm4rec.tasks.held_out import HeldOutObjective
from cllm4rec.tasks.language import LanguageObjective
from cllm4rec.tokens.batch import Batch
from cllm4rec.training.loop import Pass
from cllm4rec.training.stream import Drawn


class TrainingStages:
    """Each method makes one stage's workload.

    Args:
        parts: at one depth.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def pretraining(self, stage: str) -> Workload:
        """``content``: C-steps over texts; ``collaborative``: L-steps over histories.

        Raises:
            InputError: there are no texts.
        """
        setup = self.parts.setup("frozen")
        objectives = pretraining_objectives(setup, self.parts.initial("frozen"))
        if stage not in objectives:
            raise InputError("these data have no texts; leave the stage `content` out of --stages")
        objective = objectives[stage]
        if isinstance(objective.model, CollaborativeLLM):
            wake(objective.model)
        optimizer = pretraining_optimizer(setup.config.pretrain, objective.parameters())
        return self._training(stage, setup, objective, optimizer)

    def finetuning(self, stage: str, profile: Profile) -> Workload:
        """Finetuning on the profile's task."""
        setup = self.parts.setup(profile)
        model, objectives = finetuning_objectives(setup, self.parts.initial(profile))
        objective, _ = objectives["finetune"], wake(model)
        assert isinstance(objective, LanguageObjective | HeldOutObjective)
        interactions = len(setup.dataset.part("train").items)
        optimizer = finetuning_optimizer(
            setup.config.finetune, objective.parameters(), interactions
        )
        return self._training(stage, setup, objective, optimizer)

    def _training(
        self,
        stage: str,
        setup: Setup,
        objective: LanguageObjective | HeldOutObjective,
        optimizer: torch.optim.Optimizer,
    ) -> Workload:
        step, mean_tokens = _typical_step(objective, stage)
        amount_of = partial(self._amount, setup, objective)
        amount = amount_of(objective.batches(step))
        if mean_tokens:
            amount = replace(amount, users=amount.tokens / mean_tokens)
        train = setup.dataset.part("train")
        return Training(
            stage, self.parts.depth, objective, optimizer, step, amount, train, amount_of
        )

    def _amount(
        self,
        setup: Setup,
        objective: LanguageObjective | HeldOutObjective,
        batches: Sequence[Any],
    ) -> Amount:
        """What an optimiser step of these micro-batches does; users are its documents."""
        shape, itemsize = self.parts.shape(setup)
        trained = objective.model.backbone.trained
        documents = tokens = padded = 0
        cost = adam(sum(p.numel() for p in objective.parameters().values()))
        for batch in batches:
            prompts: Batch = getattr(batch, "prompts", batch)
            lengths = prompts.lengths.tolist()
            documents, tokens = documents + len(lengths), tokens + sum(lengths)
            padded += tokens_read(objective.model.backbone, prompts)
            is_asked_once = isinstance(objective, HeldOutObjective)
            cost += backbone(
                shape, lengths, itemsize, learning=True, trained=trained, last_only=is_asked_once
            )
            scored = len(lengths) if is_asked_once else objective.counts(batch)["likelihood"]
            cost += self.parts.head(objective.model, scored, itemsize, learning=True)
        return Amount(documents, tokens, padded, cost)


def _typical_step(
    objective: LanguageObjective | HeldOutObjective, stage: str
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
