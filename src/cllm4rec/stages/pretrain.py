"""pretrain: content warm-up, then L-steps and C-steps in turns (paper section 3.3)."""

import time
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from cllm4rec.assembly import SAMPLE, Assembly, standardise
from cllm4rec.config import Config, PretrainConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.content import ContentCorpus, build_content_corpus
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, saved_tensors
from cllm4rec.run import RunDir, alone, atomic_write
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.prepare import keep_settings
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Objective, Pass, Position, fit
from cllm4rec.training.optim import adam

SECTIONS = {"backbone", "corpus", "model", "pretrain"}
"""Sections of the configuration that the result depends on."""


@alone
def pretrain(run: RunDir, config: Config) -> dict[str, Any]:
    """Train both token tables; resumes where an interrupted call stood, skips what is already done.

    Returns:
        The stage's record: passes, documents, seconds.

    Raises:
        RunError: the run is not prepared.
    """
    started_at_s = time.perf_counter()
    run.require("prepare")
    dataset = Dataset.open(run.file("data"))
    assembly = Assembly.load(config, dataset)
    keep_settings(run, config)
    identity = assembly.identity(SECTIONS, run.info("prepare")["files"])
    if run.is_done("pretrain") and run.info("pretrain")["identity"] == identity:
        run.require("pretrain")
        return dict(run.info("pretrain"))
    start = assembly.warm_start()
    collaborative = assembly.collaborative_llm(start)
    histories = _collaborative_corpus(assembly)
    sample = range(min(len(histories), SAMPLE))
    standardise(collaborative, [histories.document(index, 0) for index in sample])
    corpora: dict[str, CollaborativeCorpus | ContentCorpus] = {"collaborative": histories}
    models: dict[str, CollaborativeLLM | ContentLLM] = {"collaborative": collaborative}
    # Without training, the table z^c is all that finetuning asks for: no text need be tokenised.
    untrained: dict[str, Tensor] = {}
    if config.model.content and config.pretrain.enabled:
        content_corpus = _content_corpus(assembly, run)
        if len(content_corpus) > 0:
            corpora["content"] = content_corpus
            models["content"] = assembly.content_llm(start.content, content_corpus.vocabulary())
    elif config.model.content and dataset.texts.any():
        untrained = {"embedding.entities": start.content}
    plan = schedule_of_passes(config.pretrain, {name: len(c) for name, c in corpora.items()})
    checkpoint = _train(run, assembly, identity, models, corpora, plan)
    tables = {name: saved_tensors(model) for name, model in models.items()}
    files = _save(run, {**tables, "content": untrained} if untrained else tables)
    documents = {name: len(corpus) for name, corpus in corpora.items()}
    seconds = time.perf_counter() - started_at_s
    run.finish(
        "pretrain",
        files,
        seconds,
        identity=identity,
        passes=len(plan),
        documents=documents,
        warm_start=start.settings,
    )
    checkpoint.remove()
    return dict(run.info("pretrain"))


def schedule_of_passes(config: PretrainConfig, sizes: dict[str, int]) -> list[Pass]:
    """Content warm-up; then rounds of one pass over histories and a share of the texts.

    Args:
        config: rounds and epochs; nothing at all if not enabled.
        sizes: documents of each corpus; ``content`` may be absent.
    """
    if not config.enabled:
        return []
    num_content, content_start = sizes.get("content", 0), 0
    plan: list[Pass] = []

    def content(epochs: float) -> None:
        nonlocal content_start
        count = round(num_content * epochs)
        if count > 0:
            plan.append(Pass("content", content_start, count))
            content_start += count

    content(config.content_warmup_epochs)
    for number in range(config.rounds):
        plan.append(Pass("collaborative", number * sizes["collaborative"], sizes["collaborative"]))
        content(config.content_epochs_per_round)
    return plan


def _collaborative_corpus(assembly: Assembly) -> CollaborativeCorpus:
    return CollaborativeCorpus(
        assembly.dataset.part("train"),
        assembly.space,
        assembly.prompts,
        assembly.config.corpus,
        derived_seed(assembly.config.seed, "pretrain"),
    )


def _content_corpus(assembly: Assembly, run: RunDir) -> ContentCorpus:
    return build_content_corpus(
        assembly.dataset.texts,
        assembly.space,
        assembly.tokenizer,
        assembly.prompts,
        assembly.config.corpus,
        run.file("corpus"),
    )


def _train(
    run: RunDir,
    assembly: Assembly,
    identity: str,
    models: dict[str, CollaborativeLLM | ContentLLM],
    corpora: dict[str, CollaborativeCorpus | ContentCorpus],
    plan: list[Pass],
) -> Checkpoint:
    config = assembly.config.pretrain
    others = {"collaborative": "content", "content": "collaborative"}

    def other_table(name: str) -> nn.Parameter | None:
        other = models.get(others[name])
        return None if other is None else other.embedding.entities

    objectives: dict[str, Objective] = {
        name: LanguageObjective(
            model,
            corpora[name],
            other_table(name),
            mutual_weight=config.mutual_weight,
            batch_tokens=config.batch_tokens,
            seed=derived_seed(assembly.config.seed, "pretrain"),
        )
        for name, model in models.items()
    }
    parameters = {name: objective.parameters() for name, objective in objectives.items()}
    optimizers = {
        name: adam(
            named,
            learning_rate=config.learning_rate,
            maps_rate=config.head_learning_rate_scale,
            weight_decay=config.weight_decay,
        )
        for name, named in parameters.items()
    }
    checkpoint = Checkpoint(run.file("checkpoints", "pretrain"), identity, parameters, optimizers)
    position = Position()
    resumed = checkpoint.resume()
    if resumed is not None:
        position = resumed[0]
        run.cut_log(resumed[1]["logged"])
    else:
        run.forget("pretrain", "finetune", "evaluate")
    fit(
        plan,
        objectives,
        optimizers,
        stage="pretrain",
        seed=derived_seed(assembly.config.seed, "pretrain"),
        position=position,
        log=run.log_metrics,
        after_pass=lambda _: False,
        checkpoint=lambda at: checkpoint.save(at, {"logged": run.log_size()}, {}),
    )
    return checkpoint


def _save(run: RunDir, tables: dict[str, dict[str, Tensor]]) -> list[Path]:
    """Everything trained, one safetensors file per LLM."""
    paths = []
    for name, tensors in tables.items():
        path = run.file("pretrained", f"{name}.safetensors")
        with atomic_write(path) as temporary:
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
        paths.append(path)
    return paths
