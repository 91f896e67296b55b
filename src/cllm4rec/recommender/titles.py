"""Titles that are a query, or nearly: they come before what only has its words."""

from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cllm4rec.linear.folding import composed
from cllm4rec.linear.words import words_of

NEAR = 0.5
"""Least share of words that a title and a query have in common, of all words of both."""
LIFT = 1.01
"""In widths of the scores: above every item that is less near."""


class Titles:
    """Which items have which words in their titles.

    Args:
        titles: one, or None, per item.
    """

    def __init__(self, titles: Sequence[str | None]) -> None:
        having: dict[str, array[int]] = defaultdict(lambda: array("i"))
        sizes = array("i", bytes(4 * len(titles)))
        for item, title in enumerate(titles):
            words = _words(title or "")
            sizes[item] = len(words)
            for word in words:
                having[word].append(item)
        self._having = {word: np.array(items, np.int32) for word, items in having.items()}
        self._sizes = np.array(sizes, np.int32)

    def nearness(self, query: str) -> NDArray[np.float32]:
        """Words in common with a query over words of either, ``float32 [items]``.

        The Jaccard index; 1 where the title is the query, in any order, 0 below `NEAR`.
        """
        words = _words(query)
        common = np.zeros(len(self._sizes), np.float32)
        for word in words:
            if word in self._having:
                common[self._having[word]] += 1
        either = len(words) + self._sizes - common
        near = common / np.maximum(either, 1)
        return np.where(near >= NEAR, near, 0).astype(np.float32)


def _words(text: str) -> set[str]:
    return set(words_of(composed(text), least=1))
