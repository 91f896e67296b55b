"""EASE whose items without interactions stand where their texts' neighbours stand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.baselines.base import Context, Refinement, Settings
from cllm4rec.baselines.ease import too_many_items
from cllm4rec.baselines.reads import NO_ITEMS, Reads
from cllm4rec.baselines.taken_for_new import Calibration, sampled, tenths
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import gram_matrix, inverse_gram, weights_of
from cllm4rec.linear.neighbours import neighbour_weights
from cllm4rec.linear.text_vectors import with_reading
from cllm4rec.ranking import Scorer

L2 = 200.0
"""Of EASE; from 200 to 1,000 new items fare alike."""
NEIGHBOURS = ((10, 3.0), (50, 3.0))
"""Number of neighbours, power of their cosines."""
TEXT_WEIGHTS = (0.3, 1.0, 3.0)
"""Std of the text's own score relative to that of the neighbours' mean."""
SCALES = (1.0, 2.0, 4.0)
"""Of new items' scores relative to others'."""
MAPS = 5
"""Trained readings that set the offset, each without the items of two tenths; ten, each without
one, set nearly the same (docs/decisions/0037)."""


@dataclass(frozen=True, slots=True, eq=False)
class NewItemsScorer:
    """Scores of EASE; a new item's are its neighbours' mean, its text's own, and an offset.

    Attributes:
        weights: of EASE, ``float32 [items, items]``, zeros for new items.
        vectors: of the texts, ``float32 [items, d]``.
        new: numbers of the new items.
        neighbours: the new items as means of others, ``[new, items]``.
        text_weight: of the mean cosine with the history.
        scale: of both.
        offset: added to both.
        per_user: the text's own score and the offset are in units of the std of the user's scores
            of all items, so that long histories do not need others than short ones.
    """

    weights: NDArray[np.float32]
    vectors: NDArray[np.float32]
    new: NDArray[np.int64]
    neighbours: csr_matrix
    text_weight: float = 0.0
    scale: float = 1.0
    offset: float = 0.0
    per_user: bool = False

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; user numbers are ignored."""
        matrix = history.matrix()
        return self.filled(np.asarray(self.asked(matrix) @ self.weights), matrix)

    def asked(self, histories: csr_matrix) -> csr_matrix:
        """Histories ``[users, items]`` as EASE is asked: a new item counts as its neighbours do."""
        return histories + histories[:, self.new] @ self.neighbours

    def filled(self, scores: NDArray[np.float32], histories: csr_matrix) -> NDArray[np.float32]:
        """Put the new items' scores, in place, among those of `asked`."""
        unit = self._unit(scores)
        means, own = self._of_new(scores, histories)
        scores[:, self.new] = self.scale * (means + self.text_weight * own * unit)
        scores[:, self.new] += self.offset * unit
        return scores

    def calibration(self, sample: Interactions) -> Calibration:
        """What the scores of the new items are compared with, where these do have interactions.

        All are divided by the user's unit.

        Args:
            sample: histories; their interactions with the new items are what is predicted.
        """
        history = sample.where(~np.isin(sample.items, self.new)).matrix()
        scores = np.asarray(self.asked(history) @ self.weights)
        scores /= self._unit(scores)
        return Calibration.of(scores, *self._of_new(scores, history), self.new, sample)

    def _unit(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """What one is in, by user: ``float32 [batch, 1]``; 1 where all scores are alike."""
        if not self.per_user:
            return np.ones((len(scores), 1), np.float32)
        std = scores.std(axis=1, keepdims=True)
        return np.where(std > 0, std, np.float32(1))

    def _of_new(
        self, scores: NDArray[np.float32], histories: csr_matrix
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        weights = np.asarray(histories.sum(axis=1), np.float32)
        means = (histories @ self.vectors) / np.where(weights > 0, weights, 1)
        own = means @ self.vectors[self.new].T
        return np.ascontiguousarray((self.neighbours @ scores.T).T), own


class EaseNewItems(Reads):
    """EASE for items with interactions; neighbours in the texts for those without.

    The offset is set on training histories: each tenth of the items, drawn at random, is taken for
    new once, and all ten together get the fraction of the lists that they have of the interactions.
    So new items are neither buried nor everywhere.

    Without a reader its texts are TF-IDF alone.

    Args:
        per_user: see `NewItemsScorer`; without it short histories have new items alone
            (docs/decisions/0047).
        train: also a reading that is trained (`Reads`); None: validation chooses.
        reading: further settings of `Reads`.

    Raises:
        ValueError: a value of another kind or out of range.
    """

    least_depth: ClassVar[int] = 0

    def __init__(self, per_user: bool = True, train: bool | None = None, **reading: Any) -> None:
        super().__init__(train=True if train is None else train, **reading)
        self.draws_at_random = True  # without a reader too: which items are taken for new
        if type(per_user) is not bool:
            raise ValueError(f"per_user = {per_user!r} is no true or false")
        self.per_user = per_user
        self.trainings_tried = (False, True) if train is None else (train,)
        if not self.reads:
            self.trainings_tried = (False,)
        self._fitted: tuple[Interactions, NDArray[np.float32]] | None = None

    def grid(self, num_items: int) -> list[Settings]:
        """``k`` and ``power`` of the neighbours, the text's own weight, the scale."""
        return [
            {"k": k, "power": power, **point}
            for k, power in NEIGHBOURS
            for point in self._of_texts(self.trainings_tried[0])
        ]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """One factorisation; a point changes what becomes of the new items."""
        return self.fitted(self.grid(context.num_items), train, context)

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """A trained reading, with every weight and scale."""

        def trained(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            points = [
                {**best, **point}
                for with_training in self.trainings_tried[1:]
                for point in self._of_texts(with_training)
            ]
            return self.fitted(points, train, context)

        return [trained]

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One point; an earlier version's has the settings that there was no choice of."""
        point = {"per_user": False, "trained": False, **chosen}
        [(_, scorer)] = self.fitted([point], train, context)
        return scorer

    def fitted(
        self, points: Sequence[Settings], train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """A scorer for each of some points; one factorisation serves all."""
        if not points:
            return
        counts = train.item_counts()
        new, known = np.flatnonzero(counts == 0), np.flatnonzero(counts)
        sample, draws = sampled(train, context.seed), tenths(known, context.seed)
        weights, frozen = self._ease(train), self._frozen(context)

        def read(trained: bool, without: NDArray[np.int64] = NO_ITEMS) -> NDArray[np.float32]:
            return self.with_trained(frozen, train, context, without) if trained else frozen

        for (trained, per_user, k, power), group in groupby(points, key=_neighbourhood):
            vectors = read(trained)
            near = neighbour_weights(vectors, new, known, k=k, power=power)
            plain = NewItemsScorer(weights, vectors, new, near, per_user=per_user)
            calibrations = []
            for some in np.array_split(np.array(draws), MAPS):
                # Items taken for new must be as unknown to the reading as new ones are.
                vectors = read(trained, np.ravel(some))
                for taken in some:
                    rest = np.setdiff1d(known, taken)
                    near = neighbour_weights(vectors, taken, rest, k=k, power=power)
                    pretended = replace(plain, vectors=vectors, new=taken, neighbours=near)
                    calibrations.append(pretended.calibration(sample))
            calibration = Calibration.joined(calibrations)
            for settings in group:
                scale = float(settings["scale"])
                text_weight = float(settings["text_weight"]) * calibration.ratio
                offset = calibration.offset(text_weight, scale)
                yield (
                    settings,
                    replace(plain, text_weight=text_weight, scale=scale, offset=offset),
                )

    def unavailable(self, context: Context) -> str | None:
        """Items × items must fit in memory, and there must be texts."""
        return too_many_items(context.num_items) or no_texts(context)

    def _of_texts(self, trained: bool) -> list[Settings]:
        return [
            {"text_weight": weight, "scale": scale, "per_user": self.per_user, "trained": trained}
            for weight, scale in product(TEXT_WEIGHTS, SCALES)
        ]

    def _ease(self, train: Interactions) -> NDArray[np.float32]:
        """EASE's weights; kept, for rounds that follow one another."""
        if self._fitted is None or self._fitted[0] is not train:
            self._fitted = train, weights_of(inverse_gram(gram_matrix(train), L2))
        return self._fitted[1]

    def _frozen(self, context: Context) -> NDArray[np.float32]:
        """Vectors of the texts without training."""
        vectors = context.text_vectors
        return with_reading(vectors, self.read(context)) if self.reads else vectors


def _neighbourhood(settings: Settings) -> tuple[bool, bool, int, float]:
    trained, per_user = bool(settings["trained"]), bool(settings["per_user"])
    return trained, per_user, int(settings["k"]), float(settings["power"])
