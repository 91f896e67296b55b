"""finetune: held-out items, or what teachers put in their place, or the next item as the target."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cllm4rec import linear_prior
from cllm4rec.assembly import Assembly
from cllm4rec.config import Config
from cllm4rec.linear_prior import LinearPrior
from cllm4rec.models.llms import saved_tensors
from cllm4rec.recommender import ModelScorer, load_tensors, save_model
from cllm4rec.rundir import RunDir
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.network import Best, train_network
from cllm4rec.stages.objectives import held_out_items, next_items
from cllm4rec.stages.prepare import settle
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.recommendation import FinetuneObjective

SECTIONS = {"backbone", "corpus", "model", "finetune"}
"""Sections of the configuration that the result depends on, besides pretraining's files."""


def finetune(run: RunDir, config: Config) -> dict[str, Any]:
    """Train the recommendation-oriented LLM; resumes, and skips what is already done.

    Returns:
        The stage's record: epochs run, the best one, its validation metrics, seconds; and epochs
        and the best one of every teacher.

    Raises:
        RunError: the run is not pretrained.
    """
    started_at_s = time.perf_counter()
    dataset, config = settle(run, config)
    run.require("pretrain")
    assembly = Assembly.load(config, dataset)
    files = {**run.info("prepare")["files"], **run.info("pretrain")["files"]}
    identity = assembly.identity(SECTIONS, files)
    if run.is_done("finetune") and run.info("finetune")["identity"] == identity:
        run.require("finetune")
        return dict(run.info("finetune"))
    start = _Start.of(run, assembly)
    teachers: list[Best] = []
    checkpoints: list[Checkpoint] = []
    for number in range(1, config.finetune.teachers + 1):
        # Draws of its own, from the weights to the masks; the same data, texts and start.
        scorer = start.scorer(assembly.redrawn(derived_seed(config.seed, "teacher", number)))
        teacher = Best(scorer, run, f"teacher-{number}")
        objective = held_out_items(scorer.assembly, scorer.model, start.content)
        checkpoints.append(train_network(run, f"{identity} {number}", objective, teacher))
        teacher.restore()
        teachers.append(teacher)
    scorer = start.scorer(assembly)
    best = Best(scorer, run, "finetune")
    checkpoints.append(train_network(run, identity, _objective(start, scorer, teachers), best))
    best.restore()
    save_model(run.file("model"), scorer)
    notes = best.notes
    info = {
        "epochs": notes["epochs"],
        "best_epoch": notes["epoch"],
        "blend": notes["blend"],
        "prior": None if scorer.prior is None else scorer.prior.settings,
        "valid": notes["valid"],
        "teachers": [
            {"epochs": teacher.notes["epochs"], "best_epoch": teacher.notes["epoch"]}
            for teacher in teachers
        ],
    }
    seconds = time.perf_counter() - started_at_s
    run.finish("finetune", [run.file("model")], seconds, identity=identity, **info)
    for checkpoint in checkpoints:
        checkpoint.remove()
    return dict(run.info("finetune"))


@dataclass(frozen=True)
class _Start:
    """What every network of a run begins with.

    Attributes:
        tensors: of the collaborative LLM, as pretraining left it.
        content: the content LLM's token table; None without content.
        prior: what scores are blended with; None where there is none.
    """

    tensors: dict[str, Tensor]
    content: Tensor | None
    prior: LinearPrior | None

    @classmethod
    def of(cls, run: RunDir, assembly: Assembly) -> "_Start":
        config = assembly.config
        tensors = load_file(run.file("pretrained", "collaborative.safetensors"))
        content_tensors = _pretrained(run, "content")
        content = None if content_tensors is None else content_tensors["embedding.entities"]
        if content is not None:
            _cold_items_from_content(assembly, tensors["embedding.entities"], content)
        prior = None
        if config.model.prior:
            seed = derived_seed(config.seed, "linear prior")
            prior = linear_prior.search(assembly.dataset, seed, texts=config.model.content)
        return cls(tensors, content, prior)

    def scorer(self, assembly: Assembly) -> ModelScorer:
        """Of a network that has yet to be finetuned."""
        model = assembly.rec_llm(self.tensors["embedding.entities"])
        tensors = dict(self.tensors)
        if not assembly.config.pretrain.enabled:
            # Nothing was learned in these: where they are drawn at random, this network's draw.
            drawn = saved_tensors(model)
            tensors |= {name: drawn[name] for name in drawn if name.startswith("backbone.")}
        load_tensors(model, tensors)
        return ModelScorer(model, assembly, prior=self.prior)


def _objective(
    start: _Start, scorer: ModelScorer, teachers: Sequence[Best]
) -> FinetuneObjective | LanguageObjective:
    assembly, model = scorer.assembly, scorer.model
    if assembly.config.finetune.target == "next":
        return next_items(assembly, model, start.content)
    models = [teacher.scorer.model for teacher in teachers]
    return held_out_items(assembly, model, start.content, models)


def _pretrained(run: RunDir, name: str) -> dict[str, Tensor] | None:
    """Tensors that pretraining left under this name; None if this run has none."""
    path = f"pretrained/{name}.safetensors"
    return load_file(run.path / path) if path in run.info("pretrain")["files"] else None


def _cold_items_from_content(assembly: Assembly, entities: Tensor, content: Tensor) -> None:
    """Set the rows of items without a training interaction to z^c.

    The prior z^l ~ N(z^c, 1/λ_c) has no data there that could move it.
    """
    counts = torch.from_numpy(assembly.dataset.part("train").item_counts())
    cold = (counts == 0).nonzero().flatten() + assembly.space.num_users
    entities[cold] = content[cold]
