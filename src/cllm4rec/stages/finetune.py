"""finetune: train on the task's objective from pretrained or initial values; keep the best."""

import time
from typing import Any

import torch

from cllm4rec.config import Config
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.recommender.saved import load_tensors, save_model
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import RunDir, exclusive
from cllm4rec.stages.epochs import Best, train_epochs
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.pretrain import Pretrained
from cllm4rec.stages.setup import Setup

SECTIONS = {"backbone", "corpus", "model", "finetune"}
"""Sections of the configuration that affect the result, besides the files it starts from."""


@exclusive
def finetune(run: RunDir, config: Config) -> dict[str, Any]:
    """Train the recommendation-oriented LLM; resumes an interrupted call, skips a finished one.

    Returns:
        The stage's record: epochs run, the best one, its validation metrics, seconds.

    Raises:
        RunError: the run is not initialised, or not pretrained although the settings say so.
    """
    return finetune_with(Setup.of(run, config, *_before(config)))


def finetune_with(setup: Setup) -> dict[str, Any]:
    """The stage, given loaded inputs."""
    started_at_s = time.perf_counter()
    run, config = setup.run, setup.config
    before = ["prepare", *_before(config)]
    for stage in before:
        run.require(stage)
    files = {name: sha for stage in before for name, sha in run.info(stage)["files"].items()}
    identity = setup.identity(SECTIONS, files, selection=config.evaluate.selection)
    if run.has_result("finetune", identity):
        return dict(run.info("finetune"))
    initial = Initial.read(run)
    pretrained = Pretrained.read(run) if config.pretrain.enabled else None
    model, content = finetuning_model(setup, initial, pretrained)
    train = setup.dataset.part("train")
    scorer = ModelScorer(
        model=model, task=setup.task, trained_users=train.counts() > 0, linear=initial.linear
    )
    best = Best(scorer, setup.dataset, run)
    objective = setup.task.objective(model, train, content)
    checkpoint = train_epochs(run, identity, objective, best)
    best.restore()
    save_model(run.file("model"), scorer, setup.dataset, setup.lm.sha256)
    notes = best.notes
    info = {
        "epochs": notes["epochs"],
        "best_epoch": notes["epoch"],
        "blend": notes["blend"],
        "linear": None if scorer.linear is None else scorer.linear.settings,
        "valid": notes["valid"],
    }
    seconds = time.perf_counter() - started_at_s
    run.finish("finetune", [run.file("model")], seconds, identity=identity, **info)
    checkpoint.remove()
    return dict(run.info("finetune"))


def _before(config: Config) -> list[str]:
    """Training stages that must be done."""
    return ["initialise", "pretrain"] if config.pretrain.enabled else ["initialise"]


def finetuning_model(
    setup: Setup, initial: Initial, pretrained: Pretrained | None = None
) -> tuple[CollaborativeLLM, TokenEmbedding | None]:
    """The model before finetuning, and z^c, fixed; None without texts.

    Args:
        setup: loaded inputs.
        initial: where training begins.
        pretrained: what pretraining made of it; None without pretraining.
    """
    model = initial.collaborative_llm(setup, dropout=setup.config.finetune.dropout)
    train, content = setup.dataset.part("train"), initial.content
    if pretrained is not None:
        load_tensors(model, pretrained.collaborative)
        content = pretrained.content
    fixed = None
    if content is not None:
        fixed = TokenEmbedding.of_tables(setup.lm.words, *content).to(setup.lm.device)
        # Cold items have no data: the prior z^l ~ N(z^c, 1/λ_c) puts them at z^c.
        counts = torch.from_numpy(train.item_counts())
        cold = (counts == 0).nonzero().flatten().to(setup.lm.device)
        model.embedding.items.replace_(cold, fixed.items.vectors(cold))
        fixed.requires_grad_(False)
    setup.task.standardise(model, train)
    return model, fixed
