"""finetune: train on the task's objective from pretrained or initial values; keep the best."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cllm4rec import progress
from cllm4rec.baselines import Context
from cllm4rec.baselines.reads import EPOCHS
from cllm4rec.baselines.trained_reading import trained_map
from cllm4rec.config import Config
from cllm4rec.config.naming import chosen_line, chosen_note
from cllm4rec.linear.cooccurrence import cooccurrence
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.linear.text_vectors import with_reading
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.items import ReadItems
from cllm4rec.models.llms import CollaborativeLLM, load_tensors, own_tensors
from cllm4rec.models.reading import Reader
from cllm4rec.recommender.calibration import calibrated, taken_items
from cllm4rec.recommender.placing import ItemTexts, Placing, ReadTexts
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.saved import save_model
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import RunDir, exclusive
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.content import content_objective
from cllm4rec.stages.epochs import AsChosen, Best, train_epochs
from cllm4rec.stages.initialise import Initial, item_texts, reading_settings
from cllm4rec.stages.pretrain import Pretrained
from cllm4rec.stages.settings import keep_settings
from cllm4rec.stages.setup import Setup
from cllm4rec.stages.sharing import share
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.loop import Objective

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
    with Setup.begun(run, config, *_before(config)) as setup:
        return finetune_with(setup)


def finetune_with(setup: Setup) -> dict[str, Any]:
    """The stage, given loaded inputs."""
    started_at_s = time.perf_counter()
    run, config = setup.run, setup.config
    before = ["prepare", *_before(config)]
    for stage in before:
        run.require(stage)
    files = {name: sha for stage in before for name, sha in run.info(stage)["files"].items()}
    facts: dict[str, Any] = {"selection": config.evaluate.selection}
    if config.finetune.content_steps:  # they read what pretraining reads of its own section
        facts["vocabulary"] = config.pretrain.vocabulary
    identity = setup.identity(SECTIONS, files, **facts)
    world = setup.world
    if done := world.of_main(lambda: run.result("finetune", identity)):
        world.of_main(lambda: keep_settings(run, config))
        return done
    initial = Initial.read(run)
    pretrained = Pretrained.read(run) if config.pretrain.enabled else None
    model, objectives = finetuning_objectives(setup, initial, pretrained)
    world.same_(own_tensors(model).values())
    objectives = share(setup, model, objectives, "finetune")
    train = setup.dataset.part("train")
    scorer = ModelScorer.of(model, setup.task, train, initial.linear)
    chosen = Chosen.before(run)
    given = scorer, setup.dataset, run, world
    best = Best(*given) if chosen is None else AsChosen(*given, chosen=chosen)
    checkpoint = train_epochs(run, identity, objectives, best, len(train.items))
    best.restore()
    return world.of_main(lambda: _finish(setup, best, initial, identity, checkpoint, started_at_s))


def _finish(
    setup: Setup,
    best: Best,
    initial: Initial,
    identity: str,
    checkpoint: Checkpoint,
    started_at_s: float,
) -> dict[str, Any]:
    """Save the model with what places new items and answers queries."""
    run, scorer = setup.run, best.scorer
    placing = placing_of(setup, scorer, initial.texts)
    queries = queries_of(setup) if placing is not None else None
    run.forget("evaluate")  # of the model before, which is replaced now
    save_model(run.file("model"), scorer, setup.dataset, setup.lm.sha256, placing, queries)
    notes = best.notes
    linear, best_epoch = scorer.linear is not None, int(notes["epoch"])
    chosen = chosen_line(best_epoch, notes["epochs"], notes["blend"], linear=linear)
    if scorer.by_length is not None:
        chosen += f"; in short histories the linear model's is {scorer.by_length}"
    if chosen_note(best_epoch, notes["blend"], linear=linear):
        progress.note(f"chosen: {chosen}")
    info = {
        "chosen": chosen,
        "epochs": notes["epochs"],
        "best_epoch": notes["epoch"],
        "blend": notes["blend"],
        "blend_by_length": scorer.weights_by_length,
        "start": initial.settings,
        "linear": None if scorer.linear is None else scorer.linear.settings,
        "valid": notes["valid"],
    }
    # Before the record: a kill in between leaves one of another model, which is refused.
    keep_settings(run, setup.config)
    seconds = checkpoint.earlier_s + time.perf_counter() - started_at_s
    run.finish("finetune", [run.file("model")], seconds, identity=identity, **info)
    checkpoint.remove()
    return dict(run.info("finetune"))


def placing_of(setup: Setup, scorer: ModelScorer, space: TextSpace | None) -> Placing | None:
    """What places items that come with a text alone; None where no item has words.

    By TF-IDF; beside it, where texts help the linear model, by what a language model reads in them,
    and by a trained map of that. What finds most of the items taken for new is kept.
    """
    if space is None:
        return None
    train, linear, reader = (
        setup.dataset.part("train"),
        scorer.linear,
        reading_settings(setup.config),
    )
    seed = derived_seed(setup.config.seed, "placing")
    tried = [ItemTexts(space, None, tuple(setup.dataset.texts.word_features))]
    if linear is not None and linear.uses_texts and reader["depth"]:
        read = Reader(**reader).vectors(Context.of(setup.dataset).words)
        frozen = ReadTexts.of(reader, read)
        tried.append(replace(tried[0], read=frozen))
        # Items that are taken for new must be as unknown to the map as new ones are.
        others = train.where(~np.isin(train.items, taken_items(train, seed)))
        trained = trained_map(read, cooccurrence(others), EPOCHS, seed)
        if trained is not None:
            tried.append(replace(tried[0], read=frozen.with_trained(trained, read)))
    rule, texts = calibrated(scorer, train, tried, seed)
    return Placing(texts, rule)


def queries_of(setup: Setup) -> Queries | None:
    """What answers queries in words; a language model reads the words at the first query."""
    reader, texts = reading_settings(setup.config), setup.dataset.texts
    words = Context.of(setup.dataset).words
    return Queries.of(words, reader if reader["depth"] else None, tuple(texts.word_features))


def text_vectors(setup: Setup, initial: Initial) -> Tensor | None:
    """Vectors of the items' texts that ``model.item_texts`` adds to their own, ``[items, d]``.

    Args:
        setup: loaded inputs.
        initial: the space of the items' words, and the linear model.
    """
    space, linear = initial.texts, initial.linear
    kind = item_texts(setup.config, len(setup.dataset.items))
    if setup.config.model.item_texts == "auto" and linear is not None and not linear.uses_texts:
        return None
    if kind == "none" or space is None or not space.factors.shape[1]:
        return None
    vectors, reader = space.items, reading_settings(setup.config)
    if kind == "read" and reader["depth"]:
        vectors = with_reading(vectors, Reader(**reader).vectors(Context.of(setup.dataset).words))
    return torch.from_numpy(vectors)


def _before(config: Config) -> list[str]:
    """Training stages that must be done."""
    return ["initialise", "pretrain"] if config.pretrain.enabled else ["initialise"]


def finetuning_objectives(
    setup: Setup, initial: Initial, pretrained: Pretrained | None = None
) -> tuple[CollaborativeLLM, dict[str, Objective]]:
    """The model before finetuning, and what it is trained on.

    Args:
        setup: loaded inputs.
        initial: where training begins.
        pretrained: what pretraining made of it; None without pretraining.

    Returns:
        The model; the objectives ``finetune`` and, if z^c goes on being trained, ``content``.
    """
    config = setup.config
    model = initial.collaborative_llm(setup, dropout=config.finetune.dropout)
    train = setup.dataset.part("train")
    tables = initial.content if pretrained is None else pretrained.content
    content = None
    if config.finetune.content_steps:
        # Before the backbone is what pretraining made of it: the content LLM's is never trained.
        content = content_objective(
            setup,
            tables,
            model.embedding,
            mutual_weight=config.finetune.mutual_weight,
            batch_documents=config.finetune.batch_users,
            batch_tokens=config.finetune.batch_tokens,
            seed=setup.task.seed,
        )
    if pretrained is not None:
        load_tensors(model, pretrained.collaborative)
    z_c = None
    if content is not None:
        z_c = content.model.embedding
    elif tables is not None:
        z_c = TokenEmbedding.of_tables(setup.lm.words, *tables).to(setup.lm.device)
        z_c.requires_grad_(False)
    if z_c is not None and config.model.candidates == "trained":
        # Cold items have no data: the prior z^l ~ N(z^c, 1/λ_c) puts them at z^c.
        counts = torch.from_numpy(train.item_counts())
        cold = (counts == 0).nonzero().flatten().to(setup.lm.device)
        model.embedding.items.replace_(cold, z_c.items.vectors(cold).detach())
    texts = text_vectors(setup, initial)
    if texts is not None:
        begun = model.embedding.items.all().detach()
        fitted = config.finetune.text_prior_weight > 0
        model.embedding.items = ReadItems(begun, texts, fitted=fitted)
    setup.task.standardise(model, train)
    objectives = {"finetune": setup.task.objective(model, train, z_c)}
    return model, objectives if content is None else {**objectives, "content": content}
