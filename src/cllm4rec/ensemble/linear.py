"""The linear half of the blend: the strongest closed form that the data allow, as a baseline is.

It is the baseline of the same settings, but for small weights of a large catalogue, which are
dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array, csr_matrix
from torch import Tensor
from torch.nn import functional

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.ease import Ease
from cllm4rec.baselines.ease_new_items import NewItemsScorer
from cllm4rec.baselines.ease_text_order import OrderedScorer
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.baselines.tuning import Tuned, tune
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import linear_half_
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.fitted import Fitted, Weights
from cllm4rec.linear.ordered import aged_matrix, ages
from cllm4rec.linear.rows import Rows
from cllm4rec.linear.sparse_arrays import arrays_of, matrix_of
from cllm4rec.linear.sparse_ease import largest_of_rows
from cllm4rec.run import atomic_write

CLOSED_FORMS = ("ease-lm", "ease-text-order", "ease-text", "ease")
"""Baselines in the order of preference: the first that the data allow is the linear model."""
NEW_ITEMS = 0.05
"""Share of validation interactions with items that training has not seen, from which on there are
new items to care for."""
ALL_WEIGHTS = 8000
"""Items up to which every weight is kept, at most 256 MB. Where histories are long, small weights
count: the thousand largest of each row alone cost movielens-latest-small (7,363 items) 1 to 2 %
(docs/decisions/0008)."""
KEPT_WEIGHTS = 1000
"""Number of largest weights kept per row above that. On catalogues of 9,590 and 12,101 items it
costs nothing."""

Settings = dict[str, Any]
"""Of ``ease-lm``: ``l2`` and those of `PLAIN`; ``neighbours`` of a large catalogue."""
PLAIN: Settings = {
    "texts": "words",
    "alpha": 0.0,
    "windows": False,
    "transitions": 0.0,
    "length_power": 0.0,
    "decay": 1.0,
}
"""Settings of ``ease-lm`` with which it is EASE."""
NO_TEXTS = "none"
"""What a linear model of data without texts reports as ``texts``."""
NO_READER = {"depth": 0}


def wrong_setting(settings: Mapping[str, Any]) -> str | None:
    """The first setting of a linear model that is missing or cannot be one; None if none is."""
    for name, like in PLAIN.items() if "baseline" in settings else {**PLAIN, "l2": 1.0}.items():
        value = settings.get(name, like if name in Rows._fields else None)  # older runs have none
        kinds = (int, float) if isinstance(like, float) else (type(like),)
        if value is None or type(value) not in kinds or (kinds[0] is int and value < 0):
            return name
    return None


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """An item-to-item linear model; each row of scores is divided by its standard deviation.

    Attributes:
        weights: ``float32 [items, items]``; sparse (CSR) above `ALL_WEIGHTS` items.
        settings: of the fit.
        new: what scores items without interactions; its own weights play no part.
    """

    weights: Weights
    settings: Settings
    new: NewItemsScorer | None = None

    @property
    def uses_texts(self) -> bool:
        """Whether texts have a part; then a language model has read them, if there is one."""
        return self.new is not None or float(self.settings["alpha"]) > 0

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``, zeros for an empty history; ``users`` is ignored."""
        return np.asarray(linear_half_(self.sums(history)).numpy())

    def sums(self, history: Interactions) -> Float[Tensor, "batch items"]:
        """Scores before division by the rows' standard deviation."""
        decay = float(self.settings["decay"])
        if self.new is None and isinstance(self.weights, np.ndarray):
            weights = (decay ** ages(history)).astype(np.float32) if decay < 1 else None
            return functional.embedding_bag(
                torch.from_numpy(history.items.astype(np.int64)),
                torch.from_numpy(self.weights),
                torch.from_numpy(history.offsets.astype(np.int64)),  # a copy: may be read-only
                mode="sum",
                per_sample_weights=None if weights is None else torch.from_numpy(weights),
                include_last_offset=True,
            )
        return self.sums_of(aged_matrix(history, decay))

    def sums_of(self, histories: csr_matrix) -> Float[Tensor, "batch items"]:
        """`sums` of histories as weights of items, ``[batch, items]``."""
        matrix = histories if self.new is None else self.new.asked(histories)
        dense = Fitted(self.weights).scores(matrix)
        return torch.from_numpy(dense if self.new is None else self.new.filled(dense, histories))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights as arrays by name; `from_arrays` undoes it."""
        of_new = {} if self.new is None else _arrays_of_new(self.new)
        if isinstance(self.weights, np.ndarray):
            return {"weights": self.weights, **of_new}
        return arrays_of(self.weights) | of_new

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
    ) -> "LinearModel":
        """Rebuild a model from `arrays` and ``settings``."""
        new = _new_of_arrays(arrays) if "new.items" in arrays else None
        if "weights" in arrays:
            return cls(arrays["weights"], dict(settings), new)
        size = len(arrays["indptr"]) - 1
        weights = csr_array(matrix_of(arrays, (size, size)))
        return cls(weights, dict(settings), new)


def save_linear(model: LinearModel, path: Path) -> None:
    """Write the weights as safetensors; the caller stores the settings."""
    with atomic_write(path) as temporary:
        save_file(model.arrays(), temporary)


def load_linear(path: Path, settings: Mapping[str, Any]) -> LinearModel:
    """Undo `save_linear`."""
    return LinearModel.from_arrays(load_file(path), settings)


def search(
    train: Interactions,
    selection: Selection,
    context: Context,
    *,
    reader: Mapping[str, Any] | None = None,
) -> LinearModel | None:
    """The strongest closed form of these data, tuned; None if the catalogue is too large for it.

    Where items without interactions are asked for, it is compared with ``ease-new-items``.

    Args:
        train: to fit on.
        selection: on validation.
        context: of the data; without words the texts have no part.
        reader: of the texts: settings of ``ease-lm`` and ``ease-new-items``; None: TF-IDF alone.
    """
    reader = NO_READER if reader is None else reader
    for name in CLOSED_FORMS:
        baseline = baseline_named(name, reader if name == "ease-lm" else None)
        reason = baseline.unavailable(context)
        if not reason:
            break
    else:
        progress.note(f"no linear model: {reason}")
        return None
    assert isinstance(baseline, Ease)
    baseline.constants = ()  # the language model knows what is popular (docs/decisions/0049)
    tuned = tune(baseline, train, selection, context)
    for_new = baseline_named("ease-new-items", reader)
    if asks_for_new_items(train, selection) and not for_new.unavailable(context):
        tuned = max(tuned, tune(for_new, train, selection, context), key=lambda each: each.value)
    if no_texts(context):
        tuned = replace(tuned, settings={**tuned.settings, "texts": NO_TEXTS})
    return _of_baseline(tuned)


def asks_for_new_items(train: Interactions, selection: Selection) -> bool:
    """Whether `NEW_ITEMS` or more of what is relevant on validation was not in training."""
    counts = train.item_counts()[selection.relevant.items]
    return bool(len(counts)) and float((counts == 0).mean()) >= NEW_ITEMS


def _of_baseline(tuned: Tuned) -> LinearModel:
    scorer = tuned.scorer
    assert isinstance(scorer, Fitted | OrderedScorer | NewItemsScorer)
    settings = {**PLAIN, **tuned.settings}
    new = None
    if isinstance(scorer, NewItemsScorer):
        settings["baseline"] = tuned.name
        new = replace(scorer, weights=np.empty((0, 0), np.float32))
    else:
        assert scorer.bias is None
    kept = kept_weights(scorer.weights.shape[1])
    return LinearModel(largest(scorer.weights, kept), settings, new)


def _arrays_of_new(new: NewItemsScorer) -> dict[str, NDArray[Any]]:
    numbers = np.array([new.text_weight, new.scale, new.offset, new.per_user])
    neighbours = arrays_of(new.neighbours, "new.")
    return {"new.items": new.new, "new.vectors": new.vectors, "new.numbers": numbers, **neighbours}


def _new_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> NewItemsScorer:
    vectors, items = arrays["new.vectors"], arrays["new.items"]
    neighbours = matrix_of(arrays, (len(items), len(vectors)), "new.")
    none = np.empty((0, 0), np.float32)
    text_weight, scale, offset, *later = map(float, arrays["new.numbers"])
    numbers = text_weight, scale, offset, any(later)  # older runs have three
    return NewItemsScorer(none, vectors, items, neighbours, *numbers)


def as_chosen(
    train: Interactions,
    settings: Settings,
    context: Context,
    reader: Mapping[str, Any] | None = None,
) -> LinearModel:
    """Fit with settings that `search` chose on other parts of the data; arguments as there."""
    name = str(settings.get("baseline", "ease-lm"))
    baseline = baseline_named(name, NO_READER if reader is None else reader)
    point = {**PLAIN, **settings}
    if point["texts"] == NO_TEXTS:
        point["texts"] = PLAIN["texts"]
    scorer = baseline.refitted(point, train, context)
    return _of_baseline(Tuned(name, settings, scorer, 0.0))


def kept_weights(items: int) -> int:
    """How many weights of each row are kept, of a catalogue of so many items."""
    return items if items <= ALL_WEIGHTS else KEPT_WEIGHTS


def largest(weights: Weights, kept: int) -> Weights:
    """Keep the ``kept`` weights of largest magnitude per row; all of them in a smaller matrix.

    Args:
        weights: ``[items, items]``, dense or sparse.
        kept: at least 1.
    """
    size = weights.shape[1]
    if size <= kept:
        return weights
    if not isinstance(weights, np.ndarray):
        return largest_of_rows(weights, kept)
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
