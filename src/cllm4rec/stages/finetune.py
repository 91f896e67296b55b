"""finetune: items held out of histories, or the next item at every position, as the target."""

import time
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cllm4rec import linear_prior
from cllm4rec.assembly import SAMPLE, Assembly, standardise
from cllm4rec.config import Config
from cllm4rec.corpora.collaborative import CollaborativeCorpus
from cllm4rec.corpora.recommendation import RecommendationCorpus
from cllm4rec.evaluation.protocol import validation_sample
from cllm4rec.models.llms import RecLLM, saved_tensors
from cllm4rec.recommender import ModelScorer, load_tensors, save_model
from cllm4rec.rundir import RunDir
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.blending import blend_reports
from cllm4rec.stages.prepare import settle
from cllm4rec.training.average import Average
from cllm4rec.training.checkpoint import Checkpoint, under
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Pass, Position, fit
from cllm4rec.training.optim import adam
from cllm4rec.training.recommendation import FinetuneObjective

SECTIONS = {"backbone", "corpus", "model", "finetune"}
"""Sections of the configuration that the result depends on, besides pretraining's files."""


def finetune(run: RunDir, config: Config) -> dict[str, Any]:
    """Train the recommendation-oriented LLM; resumes, and skips what is already done.

    Returns:
        The stage's record: epochs run, the best one, its validation metrics, seconds.

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
    tensors = load_file(run.file("pretrained", "collaborative.safetensors"))
    content_tensors = _pretrained(run, "content")
    content = None if content_tensors is None else content_tensors["embedding.entities"]
    if content is not None:
        _cold_items_from_content(assembly, tensors["embedding.entities"], content)
    model = assembly.rec_llm(tensors["embedding.entities"])
    load_tensors(model, tensors)
    prior = None
    if config.model.prior:
        seed = derived_seed(config.seed, "linear prior")
        prior = linear_prior.search(dataset, seed, texts=config.model.content)
    scorer = ModelScorer(model, assembly, prior=prior)
    best = _Best(scorer, run, config.finetune.patience)
    checkpoint = _train(run, assembly, identity, model, content, best)
    best.restore()
    save_model(run.file("model"), scorer)
    notes = best.notes
    info = {
        "epochs": notes["epochs"],
        "best_epoch": notes["epoch"],
        "blend": notes["blend"],
        "prior": None if prior is None else prior.settings,
        "valid": notes["valid"],
    }
    seconds = time.perf_counter() - started_at_s
    run.finish("finetune", [run.file("model")], seconds, identity=identity, **info)
    checkpoint.remove()
    return dict(run.info("finetune"))


class _Best:
    """The best epoch so far and the prior's share in it; epoch 0 is before finetuning.

    Judged by validation Recall@20 + Recall@40 + NDCG@100.
    """

    def __init__(self, scorer: ModelScorer, run: RunDir, patience: int) -> None:
        self.scorer, self.run, self.patience = scorer, run, patience
        seed = derived_seed(scorer.assembly.config.seed, "validation")
        self.sample = validation_sample(scorer.assembly.dataset, seed)
        self.notes: dict[str, Any] = {"epochs": 0, "epoch": 0, "selection": -1.0}
        self.tensors: dict[str, Tensor] = {}

    def validate(self, epoch: int) -> bool:
        """Score the validation part, keep the best parameters; true when out of patience."""
        reports = blend_reports(self.scorer, self.sample)
        blend, report = max(reports.items(), key=lambda pair: pair[1].selection)
        self.notes["epochs"] = epoch
        alone = reports[0.0].mean
        self.run.log_metrics(
            stage="finetune", epoch=epoch, valid=report.mean, blend=blend, llm_alone=alone
        )
        if report.selection > self.notes["selection"]:
            self.notes.update(
                epoch=epoch, selection=report.selection, blend=blend, valid=dict(report.mean)
            )
            self.tensors = saved_tensors(self.scorer.model)
        return epoch - int(self.notes["epoch"]) >= self.patience

    def restore(self) -> None:
        """Put the best epoch's parameters and blend back into the model."""
        load_tensors(self.scorer.model, self.tensors)
        self.scorer.share = self.notes["blend"]


def _train(
    run: RunDir,
    assembly: Assembly,
    identity: str,
    model: RecLLM,
    content: Tensor | None,
    best: _Best,
) -> Checkpoint:
    config = assembly.config.finetune
    seed = derived_seed(assembly.config.seed, "finetune")
    objective = (_next_item if config.target == "next" else _holdout)(
        assembly, model, content, seed
    )
    parameters = {"finetune": objective.parameters()}
    optimizers = {
        "finetune": adam(
            parameters["finetune"],
            learning_rate=config.learning_rate,
            maps_rate=config.maps_rate,
            backbone_rate=config.backbone_rate,
            weight_decay=config.weight_decay,
        )
    }
    size = len(objective.corpus)
    plan = [Pass("finetune", epoch * size, size) for epoch in range(config.epochs)]
    steps = config.average * len(objective.steps(plan[0]))
    average = Average(parameters["finetune"], steps)
    checkpoint = Checkpoint(run.file("checkpoints", "finetune"), identity, parameters, optimizers)
    position = Position()
    resumed = checkpoint.resume()
    if resumed is not None:
        position, best.notes, kept = resumed
        best.tensors = under(kept, "best/")
        average.resume(best.notes.pop("steps"), under(kept, "average/"))
    else:
        run.forget("finetune", "evaluate")
        best.validate(0)

    def validate(number: int) -> bool:
        with average.in_place():
            return best.validate(number + 1)

    def save(at: Position) -> None:
        kept = {f"best/{name}": tensor for name, tensor in best.tensors.items()}
        kept |= {f"average/{name}": tensor for name, tensor in average.tensors.items()}
        checkpoint.save(at, {**best.notes, "steps": average.taken}, kept)

    fit(
        plan,
        {"finetune": objective},
        optimizers,
        stage="finetune",
        seed=seed,
        position=position,
        log=run.log_metrics,
        after_pass=validate,
        after_step=average.step,
        checkpoint=save,
    )
    return checkpoint


def _holdout(
    assembly: Assembly, model: RecLLM, content: Tensor | None, seed: int
) -> FinetuneObjective:
    """Held-out items after masked histories (paper section 3.4)."""
    config = assembly.config.finetune
    corpus = RecommendationCorpus(
        assembly.dataset.part("train"),
        assembly.space,
        assembly.prompts,
        assembly.config.corpus,
        seed,
        holdout=config.holdout,
        user_token_dropout=config.user_token_dropout,
    )
    sample = range(min(len(corpus), SAMPLE))
    standardise(model, [corpus.example(index, 0).document for index in sample])
    return FinetuneObjective(
        model,
        corpus,
        content,
        mutual_weight=config.mutual_weight,
        batch_users=config.batch_users,
        batch_tokens=config.batch_tokens,
        seed=seed,
    )


def _next_item(
    assembly: Assembly, model: RecLLM, content: Tensor | None, seed: int
) -> LanguageObjective:
    """The next item at every position of a history: the L-step's loss, without pretraining's end.

    One pass over a history is as many predictions as it has items, and the question is the one
    asked at recommendation time.
    """
    config = assembly.config.finetune
    corpus = CollaborativeCorpus(
        assembly.dataset.part("train"),
        assembly.space,
        assembly.prompts,
        assembly.config.corpus,
        seed,
        user_token_dropout=config.user_token_dropout,
    )
    sample = range(min(len(corpus), SAMPLE))
    standardise(model, [corpus.document(index, 0) for index in sample])
    return LanguageObjective(
        model,
        corpus,
        content,
        mutual_weight=config.mutual_weight,
        batch_tokens=config.batch_tokens,
        seed=seed,
    )


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
