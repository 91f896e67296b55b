"""pretrain: content warm-up, then alternating L-steps and C-steps (paper section 3.3)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cllm4rec.config import Config, PretrainConfig
from cllm4rec.documents.backward import BackwardCorpus, JoinedCorpus
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.content import ContentCorpus
from cllm4rec.errors import ConfigError
from cllm4rec.models.llms import CollaborativeLLM, own_tensors, saved_tensors
from cllm4rec.run import RunDir, atomic_write, exclusive
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.content import content_objective
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.setup import Setup
from cllm4rec.stages.sharing import share
from cllm4rec.tasks.base import SAMPLE, standardise
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tasks.language import LanguageObjective, items_likelihood
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.loop import Objective, Pass, Position, fit
from cllm4rec.training.meeting import can_go_ahead, end_sharing
from cllm4rec.training.optim import adam
from cllm4rec.training.stream import Corpus

SECTIONS = {"backbone", "corpus", "model", "pretrain"}
"""Sections of the configuration that affect the result, besides the initial values."""


@dataclass(frozen=True)
class Pretrained:
    """What the stage left.

    Attributes:
        collaborative: trained parameters of the collaborative LLM, by name.
        content: z^c of users and of items; None without texts.
    """

    collaborative: dict[str, Tensor]
    content: tuple[Tensor, Tensor] | None

    @classmethod
    def read(cls, run: RunDir) -> "Pretrained":
        """Read and verify it.

        Raises:
            RunError: the stage is not done.
            IntegrityError: a file is missing or changed.
        """
        run.require("pretrain")
        collaborative = load_file(run.file("pretrained", "collaborative.safetensors"))
        if "pretrained/content.safetensors" not in run.info("pretrain")["files"]:
            return cls(collaborative, None)
        content = load_file(run.file("pretrained", "content.safetensors"))
        return cls(collaborative, (content["users"], content["items"]))


@exclusive
def pretrain(run: RunDir, config: Config) -> dict[str, Any]:
    """Train z^l and z^c; resumes an interrupted call and skips a finished one.

    Returns:
        The stage's record: passes, documents, seconds; or ``{"skipped": …}`` if
        ``pretrain.enabled`` is false.

    Raises:
        RunError: the run is not initialised.
    """
    needed = ["initialise"] if config.pretrain.enabled else []
    with Setup.begun(run, config, *needed) as setup:
        return pretrain_with(setup)


def pretrain_with(setup: Setup) -> dict[str, Any]:
    """The stage, given loaded inputs."""
    started_at_s = time.perf_counter()
    run, config = setup.run, setup.config
    if not config.pretrain.enabled:
        if run.is_done("pretrain"):
            run.forget("pretrain")
        return {"skipped": "pretrain.enabled = false"}
    initial = Initial.read(run)
    # The texts are read again, which the initial values need not show.
    inputs = {**run.info("prepare")["files"], **run.info("initialise")["files"]}
    identity = setup.identity(SECTIONS, inputs)
    world = setup.world
    if done := world.of_main(lambda: run.result("pretrain", identity)):
        return done
    objectives = pretraining_objectives(setup, initial)
    for each in objectives.values():
        world.same_(own_tensors(each.model).values())
    sizes = {name: len(objective.corpus) for name, objective in objectives.items()}
    plan = schedule_of_passes(config.pretrain, sizes)
    checkpoint = _train(setup, identity, objectives, plan)

    def finish() -> dict[str, Any]:
        files = _save(run, objectives)
        seconds = checkpoint.earlier_s + time.perf_counter() - started_at_s
        run.finish("pretrain", files, seconds, identity=identity, passes=len(plan), documents=sizes)
        checkpoint.remove()
        return dict(run.info("pretrain"))

    return world.of_main(finish)


def schedule_of_passes(config: PretrainConfig, sizes: dict[str, int]) -> list[Pass]:
    """Content warm-up, then rounds of one pass over the histories and one over the texts.

    Args:
        config: rounds and epochs.
        sizes: documents of ``collaborative`` and, where there are texts, of ``content``.
    """
    warmup = round(sizes.get("content", 0) * config.content_warmup_epochs)
    plan = [Pass("warmup", 0, warmup)] if warmup > 0 else []
    for number in range(config.rounds):
        plan += [Pass(name, number * size, size) for name, size in sizes.items()]
    return plan


def pretraining_objectives(setup: Setup, initial: Initial) -> dict[str, LanguageObjective]:
    """Objectives ``collaborative`` (L-steps) and, if there are texts, ``content`` (C-steps).

    Each is regularised towards the other's vectors. Content documents are written into the run;
    with ``corpus.words = "both-ways"`` L-steps read those about candidates too, backwards.

    Raises:
        ConfigError: both ways are asked for, and there are no texts.
    """
    config, task, train = setup.config, setup.task, setup.dataset.part("train")
    seed = derived_seed(config.seed, "pretrain")
    collaborative = initial.collaborative_llm(setup)
    histories = CollaborativeCorpus(
        train, task.space, task.prompts, config.corpus, seed, words=task.words
    )
    sample = [histories.document(index, 0) for index in range(min(len(histories), SAMPLE))]
    standardise(collaborative, sample, collaborative.states)
    given = config.pretrain
    batches = {
        "batch_documents": given.batch_documents,
        "batch_tokens": given.batch_tokens,
        "seed": seed,
    }
    weight, own = given.mutual_weight, collaborative.embedding
    content = content_objective(setup, initial.content, own, mutual_weight=weight, **batches)
    other = None if content is None else content.model.embedding
    candidates = Candidates.of(config.model, train, setup.lm.device)
    read: Corpus = histories
    if config.corpus.words == "both-ways":
        if content is None:
            raise ConfigError(
                "setting corpus.words = both-ways: there are no texts to read; give some in "
                "items.* or reviews.*, with model.content=true, or set it to none"
            )
        assert isinstance(content.corpus, ContentCorpus)
        is_candidate = candidates.bias.isfinite().cpu().numpy()
        backward = BackwardCorpus(content.corpus, task.space, task.prompts, is_candidate)
        read = JoinedCorpus([histories, backward])
    objectives = {
        "collaborative": LanguageObjective(
            collaborative,
            read,
            items_likelihood(collaborative, candidates),
            Mutual.of(config.model, own, other, weight, is_collaborative=True),
            **batches,
        )
    }
    if content is not None:
        objectives["content"] = content
    return objectives


def pretraining_optimizer(
    config: PretrainConfig, parameters: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """Adam with the settings of the stage."""
    return adam(
        parameters,
        learning_rate=config.learning_rate,
        head_scale=config.head_learning_rate_scale,
    )


def _train(
    setup: Setup, identity: str, objectives: dict[str, LanguageObjective], plan: list[Pass]
) -> Checkpoint:
    run, config = setup.run, setup.config.pretrain
    model = objectives["collaborative"].model
    assert isinstance(model, CollaborativeLLM)
    given: dict[str, Objective] = dict(objectives)
    if "content" in objectives:  # the same parameters and moments, without regularisation
        given["warmup"] = objectives["content"].likelihood_alone()
    steps = share(setup, model, given, "collaborative")
    parameters = {name: steps[name].parameters() for name in objectives}
    optimizers = {name: pretraining_optimizer(config, named) for name, named in parameters.items()}
    checkpoint = Checkpoint(
        run.file("checkpoints", "pretrain"), identity, parameters, dict(optimizers)
    )
    position = Position()
    resumed = checkpoint.resume()
    if resumed is not None:
        position = resumed[0]
        run.cut_log(resumed[1]["logged"])
    else:
        run.forget("pretrain")
    if "warmup" in steps:
        optimizers["warmup"] = optimizers["content"]
    fit(
        plan,
        steps,
        optimizers,
        stage="pretrain",
        seed=derived_seed(setup.config.seed, "pretrain"),
        position=position,
        log=run.log_metrics,
        after_pass=lambda _: False,
        checkpoint=lambda at: checkpoint.save(at, {"logged": run.log_size()}, {}),
        schedule=config.schedule,
        world=setup.world,
        most_tokens=setup.config.device_tokens,
        ahead=can_go_ahead(setup.lm.device, steps.values()),
    )
    for each in objectives.values():
        end_sharing(each.model)
    return checkpoint


def _save(run: RunDir, objectives: Mapping[str, LanguageObjective]) -> list[Path]:
    """The collaborative LLM's trained parameters, and the vectors z^c."""
    model = objectives["collaborative"].model
    tables = {"collaborative": saved_tensors(model)}
    if "content" in objectives:
        embedding = objectives["content"].model.embedding
        users = embedding.words[:0] if embedding.users is None else embedding.users
        tables["content"] = {"users": users, "items": embedding.items.all()}
    paths = []
    for name, tensors in tables.items():
        path = run.file("pretrained", f"{name}.safetensors")
        with atomic_write(path) as temporary:
            whole = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
            save_file(whole, temporary)
        paths.append(path)
    return paths
