"""The blend weight of the linear model, chosen on validation."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_
from cllm4rec.evaluation.protocol import DEPTH, Report
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import RankedItems, blocks
from cllm4rec.seeds import generator
from cllm4rec.training.world import ALONE, World

RESAMPLES = 200
"""Bootstrap samples of the validation users."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Candidate blend weights: 0 is the language model only, 1 the linear model only."""


class Halves(Protocol):
    """A scorer with both halves of a blend."""

    @property
    def weights(self) -> Sequence[float]:
        """Candidate blend weights; only 0 without a linear model."""
        ...

    @property
    def unseen(self) -> Tensor | None:
        """Numbers of the items that the linear model scores alone; see `blend_`."""
        ...

    def halves(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[Tensor, Tensor | None]:
        """Scores ``[batch, items]`` of the language model and of the linear model, if any."""
        ...


def ranked_by_weight(
    weights: Sequence[float],
    scorer: Halves,
    users: NDArray[np.int32],
    history: Interactions,
    label: str,
) -> dict[float, RankedItems]:
    """Lists of `DEPTH` items for each blend weight; each user is scored only once.

    Args:
        weights: to try; only 0 without a linear model.
        scorer: gives both halves; its own weight is ignored.
        users: numbers ``[U]``.
        history: known items, one row per user; excluded from the lists.
        label: of the progress bar.
    """
    ranked = {weight: RankedItems.empty(users, DEPTH) for weight in weights}
    for rows, known in blocks(history, label):
        language, linear = scorer.halves(users[rows], known)
        for weight, lists in ranked.items():
            scores = language
            if linear is not None:
                scores = blend_(language.clone(), linear, weight, scorer.unseen)
            lists.fill(rows, scores.numpy(), known)
    return ranked


def reports_by_weight(
    scorer: Halves, selection: Selection, world: World = ALONE
) -> dict[float, Report]:
    """Validation metrics for each blend weight.

    Args:
        scorer: with the current parameters.
        selection: on validation.
        world: processes that each score a part of the users.

    Returns:
        The same on every process.
    """
    users, known = selection.users, selection.known
    rows = np.array(world.share(known.counts().tolist()), dtype=np.int64)
    own = known if world.size == 1 else known.rows(rows)
    ranked = ranked_by_weight(scorer.weights, scorer, users[rows], own, "Validating")
    if world.size > 1:
        ranked = {weight: _gathered(lists, rows, users, world) for weight, lists in ranked.items()}
    return {weight: selection.measured(lists) for weight, lists in ranked.items()}


def _gathered(
    part: RankedItems, rows: NDArray[np.int64], users: NDArray[np.int32], world: World
) -> RankedItems:
    """The lists of all users, of which each process has some."""
    whole = RankedItems(
        users, np.zeros((len(users), DEPTH), np.int32), np.zeros((len(users), DEPTH), np.float32)
    )
    whole.items[rows], whole.scores[rows] = part.items, part.scores
    world.sum_([torch.from_numpy(whole.items), torch.from_numpy(whole.scores)])
    return whole


def chosen_weight(reports: Mapping[float, Report], selection: Selection, seed: int) -> float:
    """Choose the blend weight by bagging: the mean of the best weights of bootstrap samples.

    Among a few hundred users many weights are nearly equally good, and the single best one can lie
    far from their middle; the mean does not.

    Args:
        reports: validation metrics by weight.
        selection: that measured them.
        seed: of the bootstrap.
    """
    weights = np.array(list(reports))
    values = np.stack([selection.per_user(report) for report in reports.values()])
    size = values.shape[1]
    times = generator(seed, "blend").multinomial(size, np.full(size, 1 / size), RESAMPLES)
    chosen = weights[(values @ times.T).argmax(axis=0)].mean()
    return float(weights[np.abs(weights - chosen).argmin()])
