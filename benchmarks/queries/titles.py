"""Titles as queries: how often is the item whose title it is the first of the list?"""

import re
from collections.abc import Callable

import numpy as np

from benchmarks.queries.tags import Scores, World, recall
from cllm4rec.recommender.beside_taste import WEIGHT, Wanted, weighed
from cllm4rec.recommender.titles import Titles

ASKED = 600
"""Items whose titles are asked for, drawn once."""
_YEAR = re.compile(r"\s*\(\d{4}[^)]*\)\s*$")


def first_by_title(
    at: World, score: Callable[[str], Scores], having_all: Callable[[str], Scores]
) -> dict[str, dict[str, float]]:
    """Shares of titles that find their item first, and Recall@20 of tags, beside popularity.

    Args:
        at: the world.
        score: of the words of a query.
        having_all: which items have every word of it.

    Returns:
        With near titles lifted, and without: ``written`` and ``without year`` (shares), ``tags``.
    """
    titles = Titles(at.titles)
    drawn = np.random.default_rng(0).permutation(len(at.titles))
    items = [int(item) for item in drawn if at.titles[item]][:ASKED]
    found: dict[str, dict[str, float]] = {}
    for name, lifted in (("near titles first", 1), ("words alone", 0)):

        def listed(query: str, lifted: int = lifted) -> Scores:
            found = np.asarray(score(query), np.float32)
            words = np.float32(WEIGHT) * weighed(found, having_all(query))
            scores: Scores = Wanted(words, lifted * titles.nearness(query)).beside(at.popular)[0]
            return scores

        shares = {
            form: float(np.mean([listed(asked(at.titles[i])).argmax() == i for i in items]))
            for form, asked in (("written", str), ("without year", lambda t: _YEAR.sub("", t)))
        }
        tags = [recall(listed(tag), relevant) for tag, relevant in at.tags.items()]
        found[name] = {**shares, "tags": float(np.mean(tags))}
    return found
