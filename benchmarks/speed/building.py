"""The stages as workloads, built from public parts as ``stages`` builds them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.speed.parts import Parts
from benchmarks.speed.scoring_stages import USERS, ScoringStages
from benchmarks.speed.settings import SCORING
from benchmarks.speed.training_stages import TrainingStages
from benchmarks.speed.workloads import Workload
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import LinearModel


def build(
    stages: Iterable[str],
    dataset: Dataset,
    depth: int,
    overrides: Sequence[str],
    scratch: Path,
    linear: LinearModel | None,
    users: int = USERS,
) -> Iterator[Workload]:
    """The stages' workloads at one depth, in order, each built when it is asked for.

    Args:
        stages: their names.
        dataset: prepared data.
        depth: layers kept.
        overrides: settings on top of the profiles'.
        scratch: where the content corpus is, or will be.
        linear: the linear model; None to leave it out.
        users: that a scoring stage scores in one run.
    """
    parts = Parts(dataset, depth, overrides, scratch)
    training, scoring = TrainingStages(parts), ScoringStages(parts, linear, users)
    makers: dict[str, Callable[[], Workload]] = {
        "content": partial(training.pretraining, "content"),
        "collaborative": partial(training.pretraining, "collaborative"),
        "finetune-frozen": partial(training.finetuning, "finetune-frozen", "frozen"),
        "finetune-holdout": partial(training.finetuning, "finetune-holdout", "holdout"),
        "finetune-next": partial(training.finetuning, "finetune-next", "next"),
        **{name: partial(scoring.workload, name) for name in SCORING},
    }
    for stage in stages:
        yield makers[stage]()
