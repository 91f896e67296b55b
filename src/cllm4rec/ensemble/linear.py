"""The linear half of the blend, tuned on validation.

EASE with texts, tuned as the baseline ``ease-text``. On logs with an order it adds two things that
a gram matrix of whole histories cannot see: proximity in time (EASE over short windows of the
histories, averaged in) and, if the newest interactions are to be predicted, age (older items of a
history weigh less).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import linear_half_
from cllm4rec.evaluation.protocol import selection_of, validation_sample
from cllm4rec.linear.ease import Matrix, add_texts, gram_matrix, inverse_gram, weights_of
from cllm4rec.run import atomic_write

WINDOWS = (3, 5, 10)
"""Window lengths: each run of consecutive items counts as an additional user."""
DECAYS = (1.0, 0.8, 0.6)
"""Candidate weights of a history item relative to the item after it."""
KEPT_WEIGHTS = 1000
"""Number of largest weights kept per row. On catalogues of 1,300 to 5,000 items Recall and NDCG
changed by 0.1 % at most; 300 cost MovieLens-100K 1.5 % (docs/decisions/0008)."""
CALIBRATION_USERS = 200
"""Histories from which the scale of each averaged model is estimated."""

Weights: TypeAlias = NDArray[np.float32] | Any  # or csr_array, which is untyped
Settings = dict[str, Any]
"""``l2, alpha``: as in ``ease-text``; ``windows``: whether windows are used; ``decay``."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """An item-to-item linear model; each row of scores is divided by its standard deviation.

    Attributes:
        weights: ``float32 [items, items]``; sparse (CSR) above ``KEPT_WEIGHTS`` items.
        settings: of the fit.
    """

    weights: Weights
    settings: Settings

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``, zeros for an empty history; ``users`` is ignored."""
        return np.asarray(linear_half_(self.sums(history)).numpy())

    def sums(self, history: Interactions) -> Float[Tensor, "batch items"]:
        """Scores before division by the rows' standard deviation."""
        decay = self.settings["decay"]
        weights = (decay ** ages(history)).astype(np.float32) if decay < 1 else None
        if isinstance(self.weights, np.ndarray):
            return functional.embedding_bag(
                torch.from_numpy(history.items.astype(np.int64)),
                torch.from_numpy(self.weights),
                torch.from_numpy(history.offsets.astype(np.int64)),  # a copy: may be read-only
                mode="sum",
                per_sample_weights=None if weights is None else torch.from_numpy(weights),
                include_last_offset=True,
            )
        matrix = history.matrix()
        if weights is not None:
            # `matrix()` sorts the columns within a row, so the ages are sorted the same way.
            matrix.data = weights[np.lexsort((history.items, history.users()))]
        return torch.from_numpy((matrix @ self.weights).toarray())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights as arrays by name; `from_arrays` undoes it."""
        if isinstance(self.weights, np.ndarray):
            return {"weights": self.weights}
        return {name: getattr(self.weights, name) for name in ("data", "indices", "indptr")}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
    ) -> "LinearModel":
        """Rebuild a model from `arrays` and ``settings``."""
        if "weights" in arrays:
            return cls(arrays["weights"], dict(settings))
        size = len(arrays["indptr"]) - 1
        csr = arrays["data"], arrays["indices"], arrays["indptr"]
        return cls(csr_array(csr, shape=(size, size)), dict(settings))


def save_linear(model: LinearModel, path: Path) -> None:
    """Write the weights as safetensors; the caller stores the settings."""
    with atomic_write(path) as temporary:
        save_file(model.arrays(), temporary)


def load_linear(path: Path, settings: Mapping[str, Any]) -> LinearModel:
    """Undo `save_linear`."""
    return LinearModel.from_arrays(load_file(path), settings)


def search(dataset: Dataset, seed: int, *, texts: bool = True) -> LinearModel | None:
    """Tune on validation and fit; None if the catalogue is too large for EASE.

    Args:
        dataset: fits on its training part, tunes on its validation part.
        seed: of text vectors and of the sample of users.
        texts: whether to use the items' texts.
    """
    context = _context(dataset, seed, texts)
    baseline = baseline_named("ease-text")
    if baseline.unavailable(context):
        baseline = baseline_named("ease")
    if reason := baseline.unavailable(context):
        progress.note(f"no linear model: {reason}")
        return None
    tuned = tune(baseline, dataset, context).settings
    sample = validation_sample(dataset, seed)
    best: tuple[float, LinearModel] | None = None
    windows = (False, True) if dataset.ordered else (False,)
    decays = DECAYS if dataset.newest_held_out else (1.0,)
    for with_windows in windows:
        settings = {"alpha": 0.0, **tuned, "windows": with_windows, "decay": 1.0}
        plain = fit(dataset, settings, context)
        for decay in decays:
            model = replace(plain, settings={**settings, "decay": decay})
            selection = selection_of(model, sample)
            if best is None or selection > best[0]:
                best = selection, model
    assert best is not None
    return best[1]


def fit(dataset: Dataset, settings: Settings, context: Context) -> LinearModel:
    """Fit with given settings.

    With windows it is the mean of one model of whole histories and one per window length, each
    scaled to the same standard deviation of scores.
    """
    train = dataset.part("train")
    gram = gram_matrix(train)
    if not settings["windows"]:
        return LinearModel(largest(_ease(gram, settings, context)), settings)
    some = train.rows(np.arange(min(train.num_users, CALIBRATION_USERS))).matrix()
    total = np.zeros((train.num_items, train.num_items), np.float32)
    with progress.task("Fitting the linear model", total=1 + len(WINDOWS), unit="fit") as task:
        for length in (None, *WINDOWS):
            together = gram
            if length is not None:
                # Each item is in `length` windows; windows count twice as much as whole histories.
                together = gram_matrix(cut(train, length))
                together *= 2 / length
                together += gram
            weights = _ease(together, settings, context)
            del together  # each matrix of a large catalogue takes half a gigabyte or more
            weights /= max(float((some @ weights).std(axis=1).mean()), 1e-9)
            total += weights
            task.advance()
    return LinearModel(largest(total), settings)


def _context(dataset: Dataset, seed: int, texts: bool) -> Context:
    context = Context.of(dataset, seed)
    return context if texts else replace(context, words=[""] * context.num_items)


def largest(weights: NDArray[np.float32], kept: int = KEPT_WEIGHTS) -> Weights:
    """Keep the ``kept`` weights of largest magnitude per row; all of them in a smaller matrix.

    Args:
        weights: ``[items, items]``.
        kept: at least 1.
    """
    size = weights.shape[1]
    if size <= kept:
        return weights
    columns = np.empty((len(weights), kept), np.int32)
    for start in range(0, len(weights), 1024):
        block = np.abs(weights[start : start + 1024])
        columns[start : start + 1024] = np.argpartition(block, size - kept, axis=1)[
            :, size - kept :
        ]
    columns.sort(axis=1)
    indptr = np.arange(0, columns.size + 1, kept, dtype=np.int64)
    data = np.take_along_axis(weights, columns, axis=1).ravel()
    return csr_array((data, columns.ravel(), indptr), shape=weights.shape)


def _ease(gram: Matrix, settings: Mapping[str, Any], context: Context) -> NDArray[np.float32]:
    inverse = inverse_gram(gram, settings["l2"])
    if settings["alpha"]:
        inverse = add_texts(inverse, context.text_vectors, settings["alpha"])
    return weights_of(inverse)


def cut(histories: Interactions, length: int) -> Interactions:
    """Sliding windows of ``length`` items, one per row; a shorter history is one row."""
    rows: list[list[int]] = []
    for user in np.flatnonzero(histories.counts()):
        items = histories.of(int(user)).tolist()
        rows += [items[at : at + length] for at in range(max(1, len(items) - length + 1))]
    return Interactions.from_lists(rows, histories.num_items)


def ages(histories: Interactions) -> NDArray[np.int64]:
    """Age of each item: the number of later items in its history."""
    ends = np.repeat(histories.offsets[1:], histories.counts())
    age: NDArray[np.int64] = ends - 1 - np.arange(len(histories))
    return age
