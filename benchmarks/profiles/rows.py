"""What recommends by properties: ours, and rivals that know as much."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ease import gram_matrix, inverse_gram, weights_of
from cllm4rec.linear.properties import PropertyModel
from cllm4rec.linear.text_vectors import whitened

Table = NDArray[np.float64]
Columns = dict[str, list[str | None]]


@dataclass(frozen=True, eq=False)
class Question:
    """Users to learn from and users to recommend for, by number."""

    known: Interactions
    columns: Columns
    trained: NDArray[np.int64]
    asked: NDArray[np.int64]

    @property
    def matrix(self) -> Table:
        """Interactions of the users to learn from, dense."""
        return np.asarray(self.known.rows(self.trained).matrix().toarray(), np.float64)

    def of(self, users: NDArray[np.int64]) -> Columns:
        """The properties of some users."""
        return {name: [values[user] for user in users] for name, values in self.columns.items()}

    def profiles(self) -> list[dict[str, str]]:
        """The properties of the users asked, where they are known."""
        columns = self.of(self.asked)
        return [
            {name: value for name, of in columns.items() if (value := of[at]) is not None}
            for at in range(len(self.asked))
        ]


Row = Callable[[Question], Table]
Settings = list[tuple[Any, Row]]


def rows(readings: dict[str, Table]) -> Iterator[tuple[str, Settings]]:
    """Each row's settings, by name.

    Args:
        readings: of every user's properties in words, by kind of weights.
    """
    yield "popularity", [((), popular)]
    smoothing = (15.0, 40.0, 100.0, 300.0)
    yield "same properties", [((n,), partial(same_properties, smoothing=n)) for n in smoothing]
    naive = product((300.0, 1000.0, 3000.0), (0.5, 1.0))
    yield (
        "naive Bayes",
        [((n, w), partial(naive_bayes, smoothing=n, weight=w)) for n, w in naive],
    )
    penalties = (50.0, 100.0, 200.0, 400.0)
    yield "ours", [((l2,), partial(ours, l2=l2)) for l2 in penalties]
    yield "ours, through EASE", [((l2,), partial(through_ease, l2=l2)) for l2 in penalties]
    for kind, vectors in readings.items():
        settings: Settings = [
            ((l2,), partial(read, vectors=vectors, l2=l2)) for l2 in (*penalties, 800.0)
        ]
        yield f"properties read, {kind}", settings


def popular(question: Question) -> Table:
    """What most people have, for everyone."""
    return np.tile(question.matrix.mean(axis=0), (len(question.asked), 1))


def ours(question: Question, l2: float) -> Table:
    """Ridge regression from one-hot properties."""
    model = _fitted(question, l2)
    return np.stack([model.rates(_known(model, each)) for each in question.profiles()])


def through_ease(question: Question, l2: float) -> Table:
    """The same, and what EASE concludes from it."""
    rates = ours(question, l2)
    gram = gram_matrix(question.known.rows(question.trained))
    weights = weights_of(inverse_gram(gram, 200.0))
    change = rates - question.matrix.mean(axis=0)
    return np.asarray(rates + change @ weights)


def same_properties(question: Question, smoothing: float) -> Table:
    """Popularity among users of the same properties, smoothed by that of ever fewer of them.

    Numbers are in the bins that ours has. Properties join one after the other, the ones with the
    fewest values first, so that a rare combination falls back on a frequent one.
    """
    model, matrix = _fitted(question, 1.0), question.matrix
    own = {u: _codes(model, question.columns, u) for u in (*question.trained, *question.asked)}
    order = sorted(range(len(model.properties)), key=lambda at: _values(model, at))
    keys = np.array([own[user] for user in question.trained])
    found = []
    for user in question.asked:
        same, rate = np.ones(len(keys), bool), matrix.mean(axis=0)
        for at in order:
            same = same & (keys[:, at] == own[user][at])
            rate = (matrix[same].sum(axis=0) + smoothing * rate) / (same.sum() + smoothing)
        found.append(rate)
    return np.stack(found)


def naive_bayes(question: Question, smoothing: float, weight: float) -> Table:
    """Log P(item) + weight · Σ log P(item | property) / P(item), smoothed by interactions."""
    model, matrix = _fitted(question, 1.0), question.matrix
    totals = matrix.sum(axis=0) + 0.5
    prior = totals / totals.sum()
    counts = model.counts.toarray()
    lift = (counts + smoothing * prior) / (counts.sum(axis=1, keepdims=True) + smoothing)
    logs = np.log(lift / prior)
    columns = [_columns(model, each) for each in question.profiles()]
    return np.stack([np.log(prior) + weight * logs[of].sum(axis=0) for of in columns])


def read(question: Question, vectors: Table, l2: float) -> Table:
    """Ridge regression from what a language model reads in the properties, as ours otherwise."""
    matrix, given = question.matrix, vectors[question.trained]
    mean, rate = given.mean(axis=0), matrix.mean(axis=0)
    centred = given - mean
    penalty = l2 * np.eye(centred.shape[1])
    weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (matrix - rate))
    return np.asarray(rate + (vectors[question.asked] - mean) @ weights)


def readings_of(columns: Columns, backbone: str, depth: int) -> dict[str, Table]:
    """Every user's properties as a sentence, read by pretrained and by random layers."""
    from cllm4rec.models.reading import Reader

    said = [
        ". ".join(f"{name}: {value}" for name, value in zip(columns, of, strict=True) if value)
        for of in zip(*columns.values(), strict=True)
    ]
    # Whitened as texts are; of the length that three one-hots have, so that penalties are alike.
    readers = {
        "pretrained": Reader(backbone, depth),
        "random layers": Reader(backbone, depth, weights="random"),
    }
    return {
        kind: np.sqrt(len(columns)) * whitened(reader.vectors(said), 0.75).astype(np.float64)
        for kind, reader in readers.items()
    }


def _fitted(question: Question, l2: float) -> PropertyModel:
    matrix = question.known.rows(question.trained).matrix()
    return PropertyModel.fit(question.of(question.trained), matrix, l2)


def _known(model: PropertyModel, profile: dict[str, str]) -> dict[str, str]:
    """What the model knows of a profile."""
    known = model.properties
    return {
        name: value for name, value in profile.items() if name in known and known[name].of(value)
    }


def _columns(model: PropertyModel, profile: dict[str, str]) -> list[int]:
    return [
        at
        for name, value in _known(model, profile).items()
        for at in model.properties[name].of(value)
    ]


def _codes(model: PropertyModel, columns: Columns, user: int) -> list[int]:
    """One column of each property; −1 for none."""
    values = [(of, columns[name][user]) for name, of in model.properties.items()]
    return [(of.of(value) or [-1])[0] if value is not None else -1 for of, value in values]


def _values(model: PropertyModel, at: int) -> int:
    return len(list(model.properties.values())[at].columns)
