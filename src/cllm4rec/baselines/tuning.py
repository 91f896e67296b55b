"""Tuning of baselines: fit on the training part, select on validation, never use the test part."""

import math
from dataclasses import dataclass

from cllm4rec import progress
from cllm4rec.baselines.base import Baseline, Context, Demanding, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """A baseline with its best settings on validation.

    Attributes:
        name: the baseline's.
        settings: the best grid point.
        scorer: fitted with them on the training part.
        value: of the selection.
    """

    name: str
    settings: Settings
    scorer: Scorer
    value: float


def tune(baseline: Baseline, train: Interactions, selection: Selection, context: Context) -> Tuned:
    """Fit every grid point of a baseline, then its refinements; keep the best, of equals the first.

    A training is stopped early when it has not improved for the baseline's patience.

    Args:
        baseline: of `baseline_named`, say.
        train: to fit on.
        selection: on validation.
        context: shared by baselines, such as text vectors.

    Raises:
        InputError: the baseline is unavailable for these data; the message says why.
    """
    if reason := baseline.unavailable(context):
        raise InputError(f"no baseline {baseline.name}: {reason}")
    best: Tuned | None = None
    # Where trainings may stop early nobody knows how many points there will be.
    total = len(baseline.points(context)) if baseline.patience is None else None
    with progress.task(f"Tuning {baseline.name}", total=total, unit="setting") as task:
        for training in baseline.trainings(train, context):
            highest, worse = -math.inf, 0
            for settings, scorer in training:
                tried = _measured(baseline, settings, scorer, selection)
                best = _better(best, tried)
                task.advance(selection=best.value)
                worse = 0 if tried.value > highest else worse + 1
                highest = max(highest, tried.value)
                if worse == baseline.patience:
                    break
    assert best is not None, f"{baseline.name} has an empty grid"
    users = len(selection.users)
    for refinement in baseline.refinements(train, context, users):
        with progress.task(f"Refining {baseline.name}", unit="setting") as task:
            gain = refinement.gain if isinstance(refinement, Demanding) else 0.0
            least = best.value * (1 + gain)
            for settings, scorer in refinement(best.settings):
                tried = _measured(baseline, settings, scorer, selection)
                if tried.value > least:
                    best = _better(best, tried)
                task.advance(selection=best.value)
    return best


def _measured(
    baseline: Baseline, settings: Settings, scorer: Scorer, selection: Selection
) -> Tuned:
    return Tuned(baseline.name, settings, scorer, selection.value(selection.report(scorer)))


def _better(best: Tuned | None, tried: Tuned) -> Tuned:
    return tried if best is None or tried.value > best.value else best
