"""finetune: items held out of histories, or the next item at every position, as the target."""

import time
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cllm4rec.assembly import Assembly
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble import linear as linear_prior
from cllm4rec.recommender.saved import load_tensors, save_model
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import RunDir, alone
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.network import Best, train_network
from cllm4rec.stages.objectives import held_out_items, next_items
from cllm4rec.stages.prepare import keep_settings

SECTIONS = {"backbone", "corpus", "model", "finetune"}
"""Sections of the configuration that the result depends on, besides pretraining's files."""


@alone
def finetune(run: RunDir, config: Config) -> dict[str, Any]:
    """Train the recommendation-oriented LLM; resumes, and skips what is already done.

    Returns:
        The stage's record: epochs run, the best one, its validation metrics, seconds.

    Raises:
        RunError: the run is not pretrained.
    """
    started_at_s = time.perf_counter()
    run.require("prepare")
    dataset = Dataset.open(run.file("data"))
    run.require("pretrain")
    assembly = Assembly.load(config, dataset)
    keep_settings(run, config)
    files = {**run.info("prepare")["files"], **run.info("pretrain")["files"]}
    identity = assembly.identity(SECTIONS, files)
    if run.is_done("finetune") and run.info("finetune")["identity"] == identity:
        run.require("finetune")
        return dict(run.info("finetune"))
    scorer, content = _start(run, assembly)
    best = Best(scorer, run)
    following = config.finetune.target == "next"
    objective = (next_items if following else held_out_items)(assembly, scorer.model, content)
    checkpoint = train_network(run, identity, objective, best)
    best.restore()
    save_model(run.file("model"), scorer)
    notes = best.notes
    info = {
        "epochs": notes["epochs"],
        "best_epoch": notes["epoch"],
        "blend": notes["blend"],
        "prior": None if scorer.prior is None else scorer.prior.settings,
        "valid": notes["valid"],
    }
    seconds = time.perf_counter() - started_at_s
    run.finish("finetune", [run.file("model")], seconds, identity=identity, **info)
    checkpoint.remove()
    return dict(run.info("finetune"))


def _start(run: RunDir, assembly: Assembly) -> tuple[ModelScorer, Tensor | None]:
    """The network as pretraining left it, its prior beside it; and the content LLM's table."""
    config = assembly.config
    tensors = load_file(run.file("pretrained", "collaborative.safetensors"))
    content_tensors = _pretrained(run, "content")
    content = None if content_tensors is None else content_tensors["embedding.entities"]
    if content is not None:
        _cold_items_from_content(assembly, tensors["embedding.entities"], content)
    model = assembly.rec_llm(tensors["embedding.entities"])
    load_tensors(model, tensors)
    prior = None
    if config.model.linear:
        seed = derived_seed(config.seed, "linear prior")
        prior = linear_prior.search(assembly.dataset, seed, texts=config.model.content)
    return ModelScorer(model, assembly, prior=prior), content


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
