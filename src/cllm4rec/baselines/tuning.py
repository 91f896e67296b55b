"""Tuning: fitted on the training part alone, chosen on validation, never shown the test part."""

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
    """A baseline with the settings that did best on validation.

    Attributes:
        name: the baseline's.
        settings: the chosen point of its grid.
        scorer: fitted with them on the training part.
        valid: how it did on validation.
    """

    name: str
    settings: Settings
    scorer: Scorer
    valid: Report


def tune(baseline: Baseline, dataset: Dataset, context: Context | None = None) -> Tuned:
    """Fit the points of a baseline's grid and keep the best; of equals the first.

    A training that has not got better for the baseline's patience is not carried on.

    Args:
        baseline: of `baseline_named`, say.
        dataset: its training part is fitted, its validation part decides.
        context: what baselines share, such as text vectors; handed in by who tunes several.

    Raises:
        InputError: the baseline cannot be had for these data; the message says why.
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
