"""Users by their properties: what people of the same age, place or trade have.

Ridge regression from one-hot properties to interactions, with an intercept that is not shrunk:
``rate = r + (p - q)(P̄ᵀP̄ + λI)⁻¹P̄ᵀX̄``, r and q the means of interactions X and properties P, the
bar for centred. λ counts users: a value that few users have says little, and without any property
the list is the popular one.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cllm4rec.errors import InputError

L2 = 200.0
"""λ, in users."""
BINS = 5
"""Of numbers, each with as many users; fewer where one would have less than `LEAST_USERS`."""
NUMBERS = 10
"""Distinct values of numbers that are cut into bins; fewer are values like others."""
LEAST_USERS = 5
"""Of a value or bin that is known: a list by what one user alone has would be that user's
history."""
MAX_VALUES = 1000
"""Of all properties together, the most frequent; the bins of one are as frequent as all of them."""
SHOWN = 8
"""Values that an error names."""

Columns = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Property:
    """One property: values by name, or bins of numbers.

    Attributes:
        columns: value → column of the one-hot matrix; of numbers, bin → column.
        edges: between the bins of numbers; None for values by name.
    """

    columns: dict[str, int]
    edges: tuple[float, ...] | None = None

    def of(self, value: str) -> list[int]:
        """Columns of a value, which may be several joined by ``|`` or commas; unknown ones none."""
        if self.edges is None:
            return [self.columns[name] for name in _names(value) if name in self.columns]
        number = _number(value)
        if number is None:
            return []
        return [self.columns[str(np.searchsorted(self.edges, number, side="right"))]]


@dataclass(frozen=True, eq=False)
class PropertyModel:
    """The regression, in counts alone.

    Attributes:
        properties: by name.
        users: number of users that were counted.
        means: of the one-hot properties, ``float64 [values]``.
        products: PᵀP, ``float64 [values, values]``.
        counts: PᵀX, ``[values, items]``.
        items: interactions of each item, ``float64 [items]``.
        l2: λ.
    """

    properties: Mapping[str, Property]
    users: int
    means: NDArray[np.float64]
    products: NDArray[np.float64]
    counts: csr_matrix
    items: NDArray[np.float64]
    l2: float = L2

    @classmethod
    def fit(cls, columns: Columns, interactions: csr_matrix, l2: float = L2) -> "PropertyModel":
        """Count.

        Args:
            columns: property → one value, or None, per user.
            interactions: ones, ``[users, items]``; users without any take no part.
            l2: λ.
        """
        seen = np.diff(interactions.indptr) > 0
        matrix = interactions[seen].astype(np.float64)
        kept = {name: np.array(of, object)[seen] for name, of in columns.items()}
        properties = _properties(kept)
        one_hot = _one_hot(properties, kept, matrix.shape[0])
        products = (one_hot.T @ one_hot).toarray()
        means = np.asarray(one_hot.mean(axis=0)).ravel() if len(products) else np.zeros(0)
        items = np.asarray(matrix.sum(axis=0)).ravel()
        counts = csr_matrix(one_hot.T @ matrix)
        return cls(properties, matrix.shape[0], means, products, counts, items, l2)

    def rates(self, profile: Mapping[str, str]) -> NDArray[np.float64]:
        """Estimated share of users with these properties who have each item, ``float64 [items]``.

        A property that is not named says nothing.

        Raises:
            InputError: a property or a value is not known; says what is, and repeats no value.
        """
        change = np.zeros(len(self.means))
        for name, value in profile.items():
            found = self._columns(name, value)
            of = list(self.properties[name].columns.values())
            change[of] = -self.means[of]
            change[found] += 1
        weights = self._inverse @ change
        mean_rates = self.items / max(1, self.users)
        sums = self.counts.T @ weights - self.users * (weights @ self.means) * mean_rates
        return np.asarray(mean_rates + sums)

    def scores(self, profile: Mapping[str, str]) -> NDArray[np.float32]:
        """Log of 1 + estimated interactions, ``float32 [items]``; their mean where none are known.

        Raises:
            InputError: as of `rates`.
        """
        rates = self.rates(profile)
        logs = np.log1p(self.users * np.maximum(rates, 0)) + np.minimum(rates, 0)
        known = self.items > 0
        mean = logs[known].mean() if known.any() else 0.0
        return np.where(known, logs, mean).astype(np.float32)

    def example(self, number: int = 2) -> str:
        """Some properties as a profile is written: their median, or most frequent value."""
        pairs = []
        for name, of in self.properties.items():
            value = max(of.columns, key=lambda value: self.means[of.columns[value]])
            if of.edges is not None:
                middle = of.edges[len(of.edges) // 2]
                value = f"{middle:.0f}" if abs(middle) >= BINS else f"{middle:g}"
            if not {*name, *value} & {*",="}:
                pairs.append(f"{name}={value}")
        return ", ".join(pairs[:number])

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        centred = self.products - self.users * np.outer(self.means, self.means)
        return np.asarray(np.linalg.inv(centred + self.l2 * np.eye(len(self.means))), np.float64)

    def _columns(self, name: str, value: str) -> list[int]:
        if name not in self.properties:
            known = ", ".join(self.properties) or "none"
            raise InputError(f"profile: users have no property {name[:80]!r}; there are: {known}")
        of = self.properties[name]
        if not (found := of.of(value)):
            if of.edges is not None:
                raise InputError(f"profile: {name} takes a number, such as {of.edges[0]:g}")
            names = sorted(of.columns, key=lambda value: -self.means[of.columns[value]])
            some = ", ".join(" ".join(each.split())[:40] for each in names[:SHOWN]) or "none"
            raise InputError(f"profile: that {name} is not known; frequent ones: {some}")
        return found


def _properties(columns: Columns) -> dict[str, Property]:
    """Bins of numbers, and the frequent values of the other columns; columns without any, none."""
    found: dict[str, Property] = {}
    # Bins of one property are kept all or none: a number falls into any of them.
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for name, values in columns.items():
        given = [value for value in values if value is not None]
        if (edges := _edges(given)) is not None:
            if edges:
                counts[name, tuple(map(str, range(len(edges) + 1)))] = len(given)
                found[name] = Property({}, edges)
            continue
        found[name] = Property({})
        counts.update((name, (each,)) for value in given for each in _names(value))
    often = [pair for pair, count in counts.items() if count >= LEAST_USERS]
    width = 0
    for name, together in sorted(often, key=lambda pair: (-counts[pair], pair)):
        if width + len(together) <= MAX_VALUES:
            found[name].columns.update({each: width + at for at, each in enumerate(together)})
            width += len(together)
    return {name: each for name, each in found.items() if each.columns}


def _one_hot(properties: Mapping[str, Property], columns: Columns, users: int) -> csr_matrix:
    rows: list[int] = []
    places: list[int] = []
    for name, of in properties.items():
        for user, value in enumerate(columns[name]):
            if value is not None:
                found = of.of(value)
                rows += [user] * len(found)
                places += found
    width = sum(len(of.columns) for of in properties.values())
    return csr_matrix((np.ones(len(rows)), (rows, places)), shape=(users, width))


def _edges(values: Sequence[str]) -> tuple[float, ...] | None:
    """Between the bins, where all values are numbers and there are many; otherwise None.

    A bin of fewer than `LEAST_USERS` is one with the next above it, the last with the one below;
    where one bin is left, there is nothing between.
    """
    numbers = [_number(value) for value in values]
    if len(set(numbers)) <= NUMBERS or any(number is None for number in numbers):
        return None
    quantiles = np.unique(np.quantile(np.array(numbers, float), np.arange(1, BINS) / BINS))
    below = np.searchsorted(np.sort(np.array(numbers, float)), quantiles, side="left")
    edges: list[float] = []
    start = 0
    for edge, end in zip(quantiles.tolist(), below.tolist(), strict=True):
        if min(end - start, len(numbers) - end) >= LEAST_USERS:
            edges.append(edge)
            start = end
    return tuple(edges)


def _names(value: str) -> list[str]:
    parts = (part.strip() for part in value.replace("|", ",").split(","))
    return list(dict.fromkeys(filter(None, parts)))


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
