"""The blend weight of the linear model beside the language model, chosen on validation."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_
from cllm4rec.evaluation.protocol import DEPTH, SELECTION, Report, Sample, evaluate
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.seeds import generator

RESAMPLES = 200
"""Samples of the validation users that choose a weight."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Blend weights: 0 is the language model alone, 1 the linear model alone."""
BATCH_USERS = 256


class Halves(Protocol):
    """What can score with both halves of a blend."""

    @property
    def weights(self) -> Sequence[float]:
        """Blend weights that make sense; 0 alone where there is no linear model."""
        ...

    def halves(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[Tensor, Tensor | None]:
        """The language model's scores ``[batch, items]``, and the linear model's."""
        ...


def ranked_by_weight(
    weights: Sequence[float],
    scorer: Halves,
    users: NDArray[np.int32],
    history: Interactions,
    label: str,
) -> dict[float, RankedItems]:
    """The lists of `DEPTH` items under each blend weight; every user is scored once.

    Args:
        weights: 0 alone where there is no linear model.
        scorer: gives both halves; its own weight does not matter.
        users: numbers ``[U]``.
        history: what is known of each, one row per user; left out of the lists.
        label: what the progress line says.
    """
    ranked = {weight: RankedItems.empty(users, DEPTH) for weight in weights}
    with progress.task(label, total=len(users), unit="user") as task:
        for start in range(0, len(users), BATCH_USERS):
            rows = np.arange(start, min(start + BATCH_USERS, len(users)))
            known = history.rows(rows)
            language, linear = scorer.halves(users[rows], known)
            for weight, lists in ranked.items():
                scores = language
                if linear is not None:
                    scores = blend_(language.clone(), linear, weight)
                lists.items[rows], lists.scores[rows] = top_k(scores.numpy(), known, DEPTH)
            task.advance(len(rows))
    return ranked


def reports_by_weight(scorer: Halves, sample: Sample) -> dict[float, Report]:
    """How the validation part is ranked under each blend weight.

    Args:
        scorer: of the model as it stands.
        sample: the users who decide.
    """
    ranked = ranked_by_weight(scorer.weights, scorer, sample.users, sample.known, "Validating")
    rows, num_items = np.arange(len(sample.users), dtype=np.int32), sample.known.num_items
    return {
        weight: evaluate(
            RankedItems(rows, lists.items, lists.scores), sample.relevant, num_items=num_items
        )
        for weight, lists in ranked.items()
    }


def chosen_weight(reports: Mapping[float, Report], seed: int) -> float:
    """The weight to blend with: near the mean of those that resamples of the users would choose.

    The best weight of a few hundred users is one of many that are nearly as good, and lies at times
    far from the middle of them; their mean (bagging) does not.

    Args:
        reports: weight → how the validation part is ranked under it.
        seed: of the resamples.
    """
    weights = np.array(list(reports))
    selection = np.stack([
        sum(report.per_user[name] for name in SELECTION) for report in reports.values()
    ])
    size = selection.shape[1]
    times = generator(seed, "blend").multinomial(size, np.full(size, 1 / size), RESAMPLES)
    chosen = weights[(selection @ times.T).argmax(axis=0)].mean()
    return float(weights[np.abs(weights - chosen).argmin()])
