"""Columns of the item table → few classes that can be told apart by colour."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cllm4rec.recommender.scales import number_of

MOST_CATEGORIES = 8
"""Colours that an eye can tell apart; the style sheet has as many."""
MOST_BINS = 6
"""Steps of the scale of numbers; the style sheet has as many."""
LEAST_COVERED = 0.3
"""Share of the items that the commonest categories must cover; a column of names does not."""
MOST_DECIMALS = 6
"""Of the ends of a range; fewer where these tell all ends apart."""
LEAST_PLAIN, LEAST_EXPONENT = 1e-4, 1e15
"""Numbers from the one to below the other are written without an exponent."""

Coloured = dict[str, Any]
"""``name``, ``kind`` (``categories`` or ``numbers``), ``labels``, each item's ``codes`` (places in
the labels, maybe several, maybe none), and whether some items have ``others``."""


def coloured(name: str, values: Sequence[Sequence[str]]) -> Coloured | None:
    """Classes of one column; None where colours would say nothing.

    A column of many different numbers becomes ranges with about equally many items in each;
    anything else is taken as categories, of which an item may have several.

    Args:
        name: the column's.
        values: each item's, none where it has none.
    """
    numbers = [_number(each) for each in values]
    given = {number for each, number in zip(values, numbers, strict=True) if each}
    if None not in given and len(given) > MOST_CATEGORIES:
        return binned(name, [number if number is not None else np.nan for number in numbers])
    counts = Counter(value for each in values for value in set(each))
    # Commonest first; equally common ones in the order of the alphabet.
    labels = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_CATEGORIES]
    place = {label: code for code, label in enumerate(labels)}
    codes = [sorted(place[value] for value in set(each) if value in place) for each in values]
    covered = sum(map(bool, codes))
    if len(labels) < 2 or covered < LEAST_COVERED * len(values):
        return None
    return {
        "name": name,
        "kind": "categories",
        "labels": labels,
        "codes": codes,
        "others": covered < len(values),
    }


def binned(name: str, values: Sequence[float]) -> Coloured | None:
    """Ranges of a column of numbers (NaN: none), about equally many items in each."""
    column = np.asarray(values, dtype=np.float64)
    given = np.isfinite(column)
    if len(set(column[given].tolist())) < 2:
        return None
    ends = np.quantile(column[given], np.arange(1, MOST_BINS) / MOST_BINS, method="lower")
    codes = np.searchsorted(np.unique(ends), column, side="left")
    used, packed = np.unique(codes[given], return_inverse=True)
    bins = [column[given][packed == code] for code in range(len(used))]
    found = iter(packed.tolist())
    return {
        "name": name,
        "kind": "numbers",
        "labels": _labels([(float(each.min()), float(each.max())) for each in bins]),
        "codes": [[next(found)] if known else [] for known in given.tolist()],
        "others": not bool(given.all()),
    }


def _number(values: Sequence[str]) -> float | None:
    return number_of(values[0]) if len(values) == 1 else None


def _labels(ends: Sequence[tuple[float, float]]) -> list[str]:
    """A label for each range, given by its ends; of two ends the higher one looks higher."""
    numbers = sorted({end for both in ends for end in both})
    for decimals in range(MOST_DECIMALS + 1):
        written = {number: _written(number, decimals) for number in numbers}
        shown = map(float, written.values())
        if all(low < high for low, high in pairwise(shown)):
            break
    else:  # whole numbers of 16 digits
        written = {number: _trimmed(repr(number)) for number in numbers}
    return [
        written[low] if low == high else f"{written[low]}–{written[high]}"  # noqa: RUF001
        for low, high in ends
    ]


def _written(number: float, decimals: int) -> str:
    """A number of at most so many decimals; very large and very small ones with an exponent."""
    plain = number == 0 or LEAST_PLAIN <= abs(number) < LEAST_EXPONENT
    return _trimmed(f"{number:.{decimals}{'f' if plain else 'e'}}")


def _trimmed(text: str) -> str:
    """A number without needless zeros and signs: ``1.50e+07`` is ``1.5e7``."""
    digits, _, exponent = text.partition("e")
    if "." in digits:
        digits = digits.rstrip("0").removesuffix(".")
    digits = "0" if digits == "-0" else digits
    return f"{digits}e{int(exponent)}" if exponent else digits
