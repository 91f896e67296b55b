"""The blend weight of the linear model, chosen on validation."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_, language_half_, language_half_of_rows_
from cllm4rec.ensemble.lengths import ByLength, Weight, told
from cllm4rec.evaluation.protocol import DEPTH, Report
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import RankedItems, blocks
from cllm4rec.seeds import generator
from cllm4rec.training.world import ALONE, World

NUMBERS = (1, 2, 3, 5, 10, 20)
"""Items after which a weight of its own is chosen, where hardly any history is as short."""
SHORT = 0.1
"""Share of the validation users whose histories are short."""
MOST_USERS = 5000
"""Validation users for each of these; of more a sample decides."""
RESAMPLES = 200
"""Bootstrap samples of the validation users."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Candidate blend weights: 0 is the language model only, 1 the linear model only."""


Name = TypeVar("Name", bound=Hashable)


class Halves(Protocol):
    """A scorer with both halves of a blend."""

    @property
    def weights(self) -> Sequence[float]:
        """Candidate blend weights; only 0 without a linear model."""
        ...

    @property
    def unseen(self) -> Tensor | None:
        """Numbers of the items without a training interaction; see `blend_`."""
        ...

    def halves(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[Tensor, Tensor | None]:
        """Logits ``[batch, items]``, and the linear half if there is one; see `formula`."""
        ...


def ranked_by_weight(
    weights: Mapping[Name, Weight],
    scorer: Halves,
    users: NDArray[np.int32],
    history: Interactions,
    label: str,
    some: Interactions | None = None,
) -> dict[Name, RankedItems]:
    """Lists of `DEPTH` items for each blend weight; each user is scored only once.

    Args:
        weights: to try, by any name; only 0 without a linear model.
        scorer: gives both halves; its own weight is ignored.
        users: numbers ``[U]``.
        history: known items, one row per user; excluded from the lists.
        label: of the progress bar.
        some: what the scorer is told of the histories; None: all.
    """
    ranked = {name: RankedItems.empty(users, DEPTH) for name in weights}
    for rows, known in blocks(history, label):
        given = known if some is None else some.rows(rows)
        halves = scorer.halves(users[rows], given)
        for name, scores in blended_by(weights, halves, given, scorer.unseen):
            ranked[name].fill(rows, scores.numpy(), known)
    return ranked


def blended_by(
    weights: Mapping[Name, Weight],
    halves: tuple[Tensor, Tensor | None],
    given: Interactions,
    unseen: Tensor | None,
) -> Iterator[tuple[Name, Tensor]]:
    """Scores for each blend weight, one after the other.

    Args:
        weights: by any name.
        halves: of `Halves`; unchanged.
        given: the histories that they are of.
        unseen: see `blend_`.
    """
    logits, linear = halves
    whole = None
    for name, weight in weights.items():
        if linear is None:
            yield name, logits
        elif isinstance(weight, ByLength):
            rows = weight.rows(given)
            yield name, blend_(language_half_of_rows_(logits.clone(), rows), linear, rows, unseen)
        else:
            whole = language_half_(logits.clone()) if whole is None else whole
            yield name, blend_(whole.clone(), linear, weight, unseen)


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
    weights = {weight: weight for weight in scorer.weights}
    return _reports(scorer, selection, world, weights, "Validating")


def weights_by_length(
    scorer: Halves,
    selection: Selection,
    whole: float,
    seed: int,
    world: World = ALONE,
) -> ByLength | None:
    """Choose the blend weights of short histories: on validation, told few items of each, drawn.

    Histories are short up to the length that nine of ten validation users have: who stops after
    ten items is not as who is seen at the tenth of fifty, and the others have been asked already.
    The linear model never counts more after fewer items: where validation says so among a few
    hundred users, it is noise.

    Args:
        scorer: with the final parameters.
        selection: on validation.
        whole: the weight that was chosen with whole histories, for all that are not short.
        seed: of the draws.
        world: processes that each score a part of the users.

    Returns:
        The same on every process; None where one half is alone, or many histories are of one item.
    """
    length = int(np.quantile(selection.known.counts(), SHORT))
    numbers = [number for number in NUMBERS if number < length]
    if not 0 < whole < 1 or not numbers:
        return None
    points = [(length, whole)]
    for number in reversed(numbers):
        part = _with_at_least(number, selection, seed)
        some = told(part.known, number, newest=False, seed=seed)
        candidates: dict[float, Weight] = {
            weight: ByLength(((number, weight), (length, whole))) for weight in scorer.weights
        }
        label = f"Weighing histories of {number}"
        reports = _reports(scorer, part, world, candidates, label, some)
        points.append((number, min(chosen_weight(reports, part, seed), points[-1][1])))
    return ByLength(tuple(reversed(points)))


def _with_at_least(number: int, selection: Selection, seed: int) -> Selection:
    rows = np.flatnonzero(selection.known.counts() >= number)
    if len(rows) > MOST_USERS:
        rows = np.sort(generator(seed, "short").choice(rows, MOST_USERS, replace=False))
    known, relevant = selection.known.rows(rows), selection.relevant.rows(rows)
    nobody = np.full(len(rows), -1, np.int32)  # a token of the user's would tell the whole history
    return Selection(nobody, known, relevant, selection.measures)


def _reports(
    scorer: Halves,
    selection: Selection,
    world: World,
    weights: Mapping[float, Weight],
    label: str,
    some: Interactions | None = None,
) -> dict[float, Report]:
    users, known = selection.users, selection.known
    given = known if some is None else some
    rows = np.array(world.share(given.counts().tolist()), dtype=np.int64)
    own = known if world.size == 1 else known.rows(rows)
    if some is not None and world.size > 1:
        some = some.rows(rows)
    ranked = ranked_by_weight(weights, scorer, users[rows], own, label, some)
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
