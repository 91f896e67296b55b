"""Tuning of baselines: fit on the training part, select on validation, never use the test part."""

import math
from dataclasses import dataclass

from cllm4rec import progress
from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.evaluation.protocol import Report, evaluate_scorer
from cllm4rec.evaluation.scorer import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """A baseline with its best settings on validation.

    Attributes:
        name: the baseline's.
        settings: the best grid point.
        scorer: fitted with them on the training part.
        valid: metrics on validation.
    """

    name: str
    settings: Settings
    scorer: Scorer
    valid: Report


def tune(baseline: Baseline, dataset: Dataset, context: Context | None = None) -> Tuned:
    """Fit every grid point of a baseline and keep the best; the first in case of a tie.

    A training is stopped early when it has not improved for the baseline's patience.

    Args:
        baseline: of `baseline_named`, say.
        dataset: fits on its training part, selects on its validation part.
        context: shared by baselines, such as text vectors; pass it when tuning several.

    Raises:
        InputError: the baseline is unavailable for these data; the message says why.
    """
    context = context or Context.of(dataset)
    if reason := baseline.unavailable(context):
        raise InputError(f"no baseline {baseline.name}: {reason}")
    best: Tuned | None = None
    grid = baseline.grid(context.num_items)
    with progress.task(f"Tuning {baseline.name}", total=len(grid), unit="setting") as task:
        for training in baseline.trainings(dataset.part("train"), context):
            highest, worse = -math.inf, 0
            for settings, scorer in training:
                valid = evaluate_scorer(scorer, dataset, "valid")
                if best is None or valid.selection > best.valid.selection:
                    best = Tuned(baseline.name, settings, scorer, valid)
                task.advance(selection=best.valid.selection)
                worse = 0 if valid.selection > highest else worse + 1
                highest = max(highest, valid.selection)
                if worse == baseline.patience:
                    break
    assert best is not None, f"{baseline.name} has an empty grid"
    return best
