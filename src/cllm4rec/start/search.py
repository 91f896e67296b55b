"""The warm start: factor vectors whose few settings are tuned on validation, as a baseline's are.

An item vector concatenates factors of the interactions and of the texts; a history's score for an
item is the product of its mean vector with the item's. Spectrum exponent, text weight, popularity
weight and softmax temperature depend on the data set. No gradients and no language model are
involved, so the result is also a baseline for the trained model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.factors import side_by_side

POWERS = (0.5, 1.0)
"""Exponents of the singular values; higher ones emphasise the first factors."""
TEXT_WEIGHTS = (0.0, 0.5, 1.0)
"""Mean norm of the text factors; that of the interaction factors is 1."""
POPULARITY_WEIGHTS = (0.0, 0.03, 0.1)
"""Score per log count of training interactions; products of vectors are of order 1."""

NAMES = ("power", "text_weight", "popularity_weight")
"""What the grid is over."""
CHOSEN = (*NAMES, "selection", "inverse_temperature")
"""Settings of a start that was chosen; what `as_chosen` needs."""


@dataclass(frozen=True, slots=True, eq=False)
class FactorStart:
    """Item vectors, biases and inverse temperature, the best on validation.

    Attributes:
        vectors: ``float32 [items, d]``, mean norm one.
        bias: ``float32 [items]``, added to the products of vectors.
        inverse_temperature: multiplies products and bias in the softmax.
        settings: the chosen grid point.
        selection: its value on validation.
    """

    vectors: NDArray[np.float32]
    bias: NDArray[np.float32]
    inverse_temperature: float
    settings: dict[str, float]
    selection: float

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]`` of mean history vectors; an evaluation `Scorer`."""
        counts = np.maximum(history.counts(), 1).astype(np.float32)
        means = (history.matrix() @ self.vectors) / counts[:, None]
        return np.asarray(means @ self.vectors.T + self.bias, dtype=np.float32)


def as_chosen(
    dataset: Dataset,
    collaborative: NDArray[np.float32],
    content: NDArray[np.float32],
    settings: Mapping[str, float],
) -> FactorStart:
    """The start that `search` chose on other parts of the data.

    Args:
        dataset: its training part gives popularity.
        collaborative: as of `search`.
        content: as of `search`.
        settings: of a start, those of `CHOSEN`.
    """
    log_counts = np.log1p(dataset.part("train").item_counts()).astype(np.float32)
    power, text_weight, popularity_weight = (settings[name] for name in NAMES)
    return FactorStart(
        side_by_side(collaborative, content, power, text_weight),
        popularity_weight * log_counts,
        settings["inverse_temperature"],
        {name: settings[name] for name in NAMES},
        settings["selection"],
    )


def search(
    dataset: Dataset,
    collaborative: NDArray[np.float32],
    content: NDArray[np.float32],
    selected_by: Selection,
) -> FactorStart:
    """Grid search on the validation part.

    Args:
        dataset: its training part gives popularity.
        collaborative: ``[items, a]`` factors ``U·√S`` of the training interactions.
        content: ``[items, b]`` factors of the texts; b may be 0.
        selected_by: on validation.
    """
    log_counts = np.log1p(dataset.part("train").item_counts()).astype(np.float32)
    text_weights = TEXT_WEIGHTS if content.shape[1] else (0.0,)
    grid = list(product(POWERS, text_weights, POPULARITY_WEIGHTS))
    best: FactorStart | None = None
    with progress.task("Choosing the warm start", total=len(grid), unit="setting") as task:
        for power, text_weight, popularity_weight in grid:
            start = FactorStart(
                side_by_side(collaborative, content, power, text_weight),
                popularity_weight * log_counts,
                1.0,
                dict(zip(NAMES, (power, text_weight, popularity_weight), strict=True)),
                0.0,
            )
            selection = selected_by.value(selected_by.report(start))
            if best is None or selection > best.selection:
                best = FactorStart(start.vectors, start.bias, 1.0, start.settings, selection)
            task.advance(selection=best.selection)
    assert best is not None
    with progress.task("Choosing the temperature"):
        known, relevant = selected_by.known, selected_by.relevant
        inverse_temperature = _best_inverse_temperature(best, known, relevant)
    return FactorStart(best.vectors, best.bias, inverse_temperature, best.settings, best.selection)


def _best_inverse_temperature(
    start: FactorStart, known: Interactions, relevant: Interactions
) -> float:
    """The inverse temperature that maximises the likelihood of the validation items."""
    # Imported here: every process that trains or scores would load it.
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows = np.arange(min(known.num_users, 1000))
    scores = start.score(rows.astype(np.int32), known.rows(rows))
    row_of, items = relevant.rows(rows).users(), relevant.rows(rows).items

    def cost(log_temperature: float) -> float:
        logits = np.exp(log_temperature) * scores
        return float((logsumexp(logits, axis=1)[row_of] - logits[row_of, items]).mean())

    return float(np.exp(minimize_scalar(cost, bounds=(-3, 6), method="bounded").x))
