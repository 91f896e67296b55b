"""Type-ahead search: items by words of their titles, users by a prefix of their ids."""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from cllm4rec.data.ids import IdMap
from cllm4rec.linear.folding import folded
from cllm4rec.recommender.catalogue import Catalogue

MOST_MATCHES = 10_000
"""Most titles examined per query."""


class TypeAhead:
    """Searches the titles of a catalogue, joined into one string.

    Args:
        catalogue: of the run.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        titles = [" ".join(folded(title or "").split()) for title in catalogue.titles]
        lengths = np.fromiter((len(title) + 1 for title in titles), np.int64, len(titles))
        self._titles = catalogue.titles
        self._counts = catalogue.counts
        # One string, searched at the speed of str.find; titles are separated by line feeds.
        self._folded = "\n" + "\n".join(titles)
        self._starts = np.concatenate([[1], 1 + np.cumsum(lengths)])

    def search(self, query: str, limit: int) -> list[int]:
        """Items whose titles contain every word of ``query``, ignoring case and diacritics.

        Titles that begin with the query come first, then those with a word that does, then the
        rest; within each, items with more interactions first. Where more than ``MOST_MATCHES``
        titles match, the first of the catalogue are looked at.
        """
        asked = " ".join(folded(query).split())
        words = sorted(asked.split(" "), key=len, reverse=True)
        found: dict[int, int] = {}
        for item in self._titles_with("\n" + asked):
            found[item] = 0
        for item in self._titles_with(words[0]):
            if item not in found and self._titles[item]:
                title = self._folded[self._starts[item] - 1 : self._starts[item + 1] - 1]
                if all(word in title for word in words):
                    found[item] = 1 if " " + asked in title else 2
        best = sorted(found, key=lambda item: (found[item], -self._counts[item], item))
        return best[:limit]

    def _titles_with(self, text: str) -> Iterator[int]:
        """Numbers of the titles that contain ``text``, ascending, without duplicates."""
        at, matches = self._folded.find(text), 0
        while at >= 0 and matches < MOST_MATCHES and text.strip():
            begins = at + 1 if text[0] == "\n" else at
            item = int(np.searchsorted(self._starts, begins, side="right")) - 1
            yield item
            matches += 1
            at = self._folded.find(text, int(self._starts[item + 1]) - 1)


def users_with(users: IdMap, prefix: str, limit: int) -> list[str]:
    """Known user ids that begin with ``prefix``, sorted."""
    external = users.external
    start = bisect_left(range(len(external)), prefix, key=lambda at: external[at].as_py())
    block: list[str] = external[start : start + limit].to_pylist()
    return [user_id for user_id in block if user_id.startswith(prefix)]
