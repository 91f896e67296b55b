"""Finetuning epochs: each is validated, and the best is kept."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cllm4rec import progress
from cllm4rec.config import FinetuneConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.lengths import ByLength
from cllm4rec.ensemble.weight import chosen_weight, reports_by_weight, weights_by_length
from cllm4rec.evaluation.selection import Selection
from cllm4rec.models.items import ReadItems
from cllm4rec.models.llms import load_tensors, saved_tensors
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import RunDir
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.chosen import Chosen
from cllm4rec.training.average import Average
from cllm4rec.training.checkpoint import Checkpoint, under
from cllm4rec.training.loop import Objective, Pass, Position, fit
from cllm4rec.training.meeting import can_go_ahead, end_sharing, whole
from cllm4rec.training.optim import adam
from cllm4rec.training.world import ALONE, World

MOST_TIMES = 5
"""The number of epochs is multiplied by at most this to reach ``finetune.least_steps``."""


class Best:
    """The best epoch so far and its blend weight; epoch 0 is before finetuning.

    Selection is on validation, by the measures of ``evaluate.selection``.

    Args:
        scorer: of the model being trained.
        dataset: its validation part selects.
        run: logs the metrics.
        world: processes that validate and train together.
    """

    def __init__(
        self, scorer: ModelScorer, dataset: Dataset, run: RunDir, world: World = ALONE
    ) -> None:
        self.scorer, self.run, self.world = scorer, run, world
        config = scorer.task.config
        self.patience = config.finetune.patience
        self.seed = derived_seed(config.seed, "validation")
        self.selection = Selection.of(dataset, config.evaluate.selection, self.seed)
        self.newest = dataset.newest_held_out
        self.notes: dict[str, Any] = {"epochs": 0, "epoch": 0, "selection": -1.0}
        self.tensors: dict[str, Tensor] = {}

    def validate(self, epoch: int) -> bool:
        """Validate, keep the parameters if they are the best; true when out of patience."""
        with whole(self.scorer.model, self.selection.users):
            return self._validate(epoch)

    @property
    def last_epoch(self) -> int | None:
        """The epoch after which training ends, if that is known."""
        return None

    def _validate(self, epoch: int) -> bool:
        reports = reports_by_weight(self.scorer, self.selection, self.world)
        blend = chosen_weight(reports, self.selection, self.seed)
        report, language_model = reports[blend], reports[0.0].mean
        self.notes["epochs"] = epoch
        self.run.log_metrics(
            stage="finetune", epoch=epoch, valid=report.mean, blend=blend, llm_alone=language_model
        )
        value = self.selection.value(report)
        if value > self.notes["selection"]:
            self.notes.update(epoch=epoch, selection=value, blend=blend, valid=dict(report.mean))
            self.tensors = saved_tensors(self.scorer.model)
        return epoch - int(self.notes["epoch"]) >= self.patience

    def restore(self) -> None:
        """Restore the best epoch's parameters, whole on every process, and its blend weights."""
        load_tensors(self.scorer.model, self.tensors)
        end_sharing(self.scorer.model)
        embedding = self.scorer.model.embedding
        if isinstance(embedding.items, ReadItems):
            embedding.items = embedding.items.as_table()
        self.tensors = {}
        self.scorer.weight = self.notes["blend"]
        self.scorer.by_length = self._by_length()

    def _by_length(self) -> ByLength | None:
        """None where the newest items are held out: one weight does as well (decision 48)."""
        if self.scorer.linear is None or self.newest:
            return None
        return weights_by_length(
            self.scorer, self.selection, self.scorer.weight, self.seed, self.world
        )


class AsChosen(Best):
    """The epoch and the blend weights that another run chose; nothing is validated.

    Args:
        scorer: of the model being trained.
        dataset: says who its validation users are, as for `Best`; none of their lists is measured.
        run: not written to.
        world: processes that train together.
        chosen: by the other run.
    """

    def __init__(
        self,
        scorer: ModelScorer,
        dataset: Dataset,
        run: RunDir,
        world: World = ALONE,
        *,
        chosen: Chosen,
    ) -> None:
        super().__init__(scorer, dataset, run, world)
        self.chosen = chosen

    @property
    def last_epoch(self) -> int:
        """The chosen one; the schedule goes on as if there were more."""
        return self.chosen.epoch

    def _validate(self, epoch: int) -> bool:
        if epoch <= self.chosen.epoch:  # a schedule of fewer epochs ends before it
            self.notes.update(epochs=epoch, epoch=epoch, blend=self.chosen.blend, valid={})
            self.tensors = saved_tensors(self.scorer.model)
        return epoch >= self.chosen.epoch

    def _by_length(self) -> ByLength | None:
        return ByLength.of(self.chosen.blend_by_length)


def finetuning_optimizer(
    config: FinetuneConfig, parameters: Mapping[str, nn.Parameter], interactions: int
) -> torch.optim.Optimizer:
    """Adam with the settings of the stage, for so many training interactions."""
    return adam(
        parameters,
        learning_rate=config.learning_rate,
        head_scale=head_scale_of(config, interactions),
        backbone_scale=config.backbone_learning_rate_scale,
    )


def head_scale_of(config: FinetuneConfig, interactions: int) -> float:
    """Learning rate of the heads as a multiple of that of the tables (docs/decisions/0040)."""
    share = interactions / max(config.head_full_rate_interactions, 1)
    return config.head_learning_rate_scale * min(1.0, share)


def epochs_of(config: FinetuneConfig, steps: int) -> int:
    """Epochs of the schedule where each has so many optimiser steps."""
    wanted = math.ceil(config.least_steps / max(steps, 1))
    return max(config.epochs, min(wanted, MOST_TIMES * config.epochs))


def train_epochs(
    run: RunDir,
    identity: str,
    objectives: Mapping[str, Objective],
    best: Best,
    interactions: int,
) -> Checkpoint:
    """Train all epochs, each followed by C-steps if there are any.

    Resumes from a checkpoint, and does nothing if that is complete.

    Args:
        run: holds the checkpoint and the log.
        identity: hash of everything that the result depends on.
        objectives: ``finetune``, and ``content`` if z^c is trained too.
        best: validates the epochs; holds the best parameters afterwards.
        interactions: of training; where there are few, the heads learn at a lower rate.

    Returns:
        The checkpoint; the caller removes it once the result is saved.
    """
    task = best.scorer.task
    config = task.config.finetune
    parameters = {name: objective.parameters() for name, objective in objectives.items()}
    optimizers = {
        name: finetuning_optimizer(config, named, interactions)
        for name, named in parameters.items()
    }
    sizes = {name: len(objective.corpus) for name, objective in objectives.items()}
    steps = len(objectives["finetune"].steps(Pass("finetune", 0, sizes["finetune"])))
    epochs = epochs_of(config, steps)
    last = best.last_epoch
    if (epochs if last is None else min(epochs, last)) > config.epochs:
        progress.note(
            f"small data, {steps} step{'s' * (steps != 1)} an epoch: {epochs} epochs and not "
            f"{config.epochs}, towards finetune.least_steps = {config.least_steps} (at most "
            f"{MOST_TIMES} times the epochs; 0: as many as finetune.epochs says)"
        )
    plan = [
        Pass(name, epoch * size, size) for epoch in range(epochs) for name, size in sizes.items()
    ]
    average = Average(parameters["finetune"], config.average * steps)
    folder = run.file("checkpoints", "finetune")
    checkpoint = Checkpoint(folder, identity, parameters, optimizers)
    position = Position()
    resumed = checkpoint.resume()
    if resumed is not None:
        position, best.notes, kept = resumed
        best.tensors = under(kept, "best/")
        average.resume(best.notes.pop("steps"), under(kept, "average/"))
        run.cut_log(best.notes.pop("logged"))
    else:
        run.begin_log("finetune")
        if best.validate(0):  # another run chose the start
            plan = []

    def validate(number: int) -> bool:
        if plan[number].objective != "finetune":
            return False
        epoch = number // len(sizes) + 1
        with average.in_place():
            ended = best.validate(epoch)
        if ended and last is None and epoch < epochs:
            progress.note(
                f"validation was best after epoch {best.notes['epoch']}, which is kept: training "
                f"ends after epoch {epoch} of {epochs} (finetune.patience = {best.patience})"
            )
        return ended

    def average_step() -> None:
        if plan[position.pass_number].objective == "finetune":
            average.step()

    def save(at: Position) -> None:
        kept = {f"best/{name}": tensor for name, tensor in best.tensors.items()}
        kept |= {f"average/{name}": tensor for name, tensor in average.tensors.items()}
        checkpoint.save(at, {**best.notes, "steps": average.taken, "logged": run.log_size()}, kept)

    fit(
        plan,
        objectives,
        optimizers,
        stage="finetune",
        seed=task.seed,
        position=position,
        log=run.log_metrics,
        after_pass=validate,
        after_step=average_step,
        checkpoint=save,
        schedule=config.schedule,
        ends_after=None if last is None else max(0, (last - 1) * len(sizes) + 1),
        world=best.world,
        most_tokens=task.config.device_tokens,
        ahead=can_go_ahead(best.scorer.model.device, objectives.values()),
    )
    return checkpoint
