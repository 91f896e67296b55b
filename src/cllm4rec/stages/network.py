"""One network's training: epochs, each validated, of which the best is kept."""

from typing import Any

from torch import Tensor

from cllm4rec.ensemble.weight import blend_reports, settled_share
from cllm4rec.evaluation.protocol import validation_sample
from cllm4rec.models.llms import saved_tensors
from cllm4rec.recommender.saved import load_tensors
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.run import RunDir
from cllm4rec.seeds import derived_seed
from cllm4rec.stages.objectives import finetune_seed
from cllm4rec.training.average import Average
from cllm4rec.training.checkpoint import Checkpoint, under
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Pass, Position, fit
from cllm4rec.training.optim import adam
from cllm4rec.training.recommendation import FinetuneObjective


class Best:
    """The best epoch so far and the prior's share in it; epoch 0 is before finetuning.

    Judged by validation Recall@20 + Recall@40 + NDCG@100.

    Args:
        scorer: of the network that is trained.
        run: whose log of metrics takes what is found.
    """

    def __init__(self, scorer: ModelScorer, run: RunDir) -> None:
        self.scorer, self.run = scorer, run
        self.patience = scorer.assembly.config.finetune.patience
        self.seed = derived_seed(scorer.assembly.config.seed, "validation")
        self.sample = validation_sample(scorer.assembly.dataset, self.seed)
        self.notes: dict[str, Any] = {"epochs": 0, "epoch": 0, "selection": -1.0}
        self.tensors: dict[str, Tensor] = {}

    def validate(self, epoch: int) -> bool:
        """Score the validation part, keep the best parameters; true when out of patience."""
        reports = blend_reports(self.scorer, self.sample)
        blend = settled_share(reports, self.seed)
        report, alone = reports[blend], reports[0.0].mean
        self.notes["epochs"] = epoch
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
        """Put the best epoch's parameters and blend back into the model; keep no second copy."""
        load_tensors(self.scorer.model, self.tensors)
        self.tensors = {}
        self.scorer.share = self.notes["blend"]


def train_network(
    run: RunDir,
    identity: str,
    objective: FinetuneObjective | LanguageObjective,
    best: Best,
) -> Checkpoint:
    """Train; resumes, and does nothing where the checkpoint says that it is done.

    Args:
        run: keeps the checkpoint and the log.
        identity: what the result depends on.
        objective: what is minimised.
        best: judge and keeper of the epochs; holds the best parameters afterwards.

    Returns:
        The checkpoint, for the caller to remove when its result is safe.
    """
    assembly = best.scorer.assembly
    config = assembly.config.finetune
    parameters = {"finetune": objective.parameters()}
    optimizers = {
        "finetune": adam(
            parameters["finetune"],
            learning_rate=config.learning_rate,
            maps_rate=config.head_learning_rate_scale,
            backbone_rate=config.backbone_learning_rate_scale,
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
        run.cut_log(best.notes.pop("logged"))
    else:
        run.forget("finetune", "evaluate")
        best.validate(0)

    def validate(number: int) -> bool:
        with average.in_place():
            return best.validate(number + 1)

    def save(at: Position) -> None:
        kept = {f"best/{name}": tensor for name, tensor in best.tensors.items()}
        kept |= {f"average/{name}": tensor for name, tensor in average.tensors.items()}
        checkpoint.save(at, {**best.notes, "steps": average.taken, "logged": run.log_size()}, kept)

    fit(
        plan,
        {"finetune": objective},
        optimizers,
        stage="finetune",
        seed=finetune_seed(assembly),
        position=position,
        log=run.log_metrics,
        after_pass=validate,
        after_step=average.step,
        checkpoint=save,
    )
    return checkpoint
