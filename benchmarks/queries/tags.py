"""Tags as queries: who carries them, and how many of those are found."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cllm4rec.baselines import Context
from cllm4rec.data.dataset import Dataset
from cllm4rec.linear.ease import gram_matrix, inverse_gram, weights_of
from cllm4rec.recommender.beside_taste import WEIGHT, standardised, weighed
from cllm4rec.recommender.catalogue import Catalogue

K = 20
WEIGHTS = (0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0)
"""Of a query's standardised scores beside taste; each row chooses its own on training tags."""
LIFTS = (0.0, 1.0, 2.0, 3.0, 4.0)
"""Of items that have every word of the query, in standard deviations of taste; likewise."""
SPLITS = 3
L2 = 200.0
PAIRS = 3000
"""Most pairs of a user and a tag of which the user has a test item."""
RESAMPLES = 10_000

Scores = NDArray[Any]
Point = tuple[float, float]
"""Weight and lift."""
PROGRAM: Point = (WEIGHT, -1.0)
"""Stands for the program's form, whose lift depends on the query."""


@dataclass(frozen=True, eq=False)
class World:
    """Tags and tastes.

    Attributes:
        words: one text per item.
        titles: one, or None, per item.
        tags: tag → item numbers; two items or more.
        popular: standardised log of interactions, ``[1, items]``.
        pairs: tag, row of ``taste``, the user's test items with the tag.
        taste: standardised scores of EASE, ``[users, items]``, −inf for the history.
    """

    words: Sequence[str]
    titles: Sequence[str | None]
    tags: dict[str, NDArray[np.int64]]
    popular: Scores
    pairs: list[tuple[str, int, NDArray[np.int64]]]
    taste: Scores


def world(data: Path) -> World:
    """Read a folder, without a word of its reviews among the texts."""
    with TemporaryDirectory() as scratch:
        for name in ("interactions", "items"):
            (Path(scratch) / f"{name}.parquet").symlink_to(data.resolve() / f"{name}.parquet")
        dataset = Dataset.load(scratch)
        words, titles = Context.of(dataset).words, dataset.texts.item_titles
    number = {item: at for at, item in enumerate(dataset.items.external.to_pylist())}
    found: dict[str, set[int]] = defaultdict(set)
    for row in pq.read_table(data / "reviews.parquet").to_pylist():
        if row["item_id"] in number:
            found[" ".join(row["text"].lower().split())].add(number[row["item_id"]])
    tags = {tag: np.array(sorted(of)) for tag, of in sorted(found.items()) if len(of) >= 2}
    train = dataset.part("train")
    popular = standardised(Catalogue(dataset).popularity[None])
    history = (train.matrix() + dataset.part("valid").matrix()).tocsr()
    test = dataset.part("test").matrix().tocsr()
    pairs = []
    for tag, items in tags.items():
        had = test[:, items].tocsr()
        pairs += [(tag, int(u), items[had[u].indices]) for u in np.flatnonzero(np.diff(had.indptr))]
    chosen = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
    pairs = [pairs[at] for at in np.sort(chosen)]
    users = sorted({user for _, user, _ in pairs})
    weights = weights_of(inverse_gram(gram_matrix(train), L2))
    taste = standardised(np.asarray(history[users] @ weights, np.float32))
    for row, user in enumerate(users):
        taste[row, history[user].indices] = -np.inf
    place = {user: row for row, user in enumerate(users)}
    return World(words, titles, tags, popular, [(t, place[u], i) for t, u, i in pairs], taste)


def recall(scores: Scores, relevant: NDArray[np.int64]) -> float:
    """Recall@20 of one list; an item without a score above the lowest is not listed."""
    best = np.argpartition(-scores, K)[:K]
    best = best[scores[best] > lowest(scores)]
    return float(np.isin(best, relevant).sum() / min(K, len(relevant)))


def lowest(scores: Scores) -> float:
    """The lowest score but of what may not be listed."""
    return float(scores[np.isfinite(scores)].min())


def per_tag(
    at: World, score: Callable[[str], Scores], having_all: Callable[[str], Scores]
) -> dict[str, dict[Point, dict[str, float]]]:
    """Recall by kind of question (alone, popular, history), weight and lift, and tag."""
    asked: dict[str, list[tuple[int, NDArray[np.int64]]]] = defaultdict(list)
    for tag, row, items in at.pairs:
        asked[tag].append((row, items))
    found: dict[str, dict[Point, dict[str, float]]] = {
        kind: defaultdict(dict) for kind in ("alone", "popular", "history")
    }
    for tag, items in at.tags.items():
        query = np.asarray(score(tag), np.float32)
        found["alone"][1.0, 0.0][tag] = recall(query, items) if query.any() else 0.0
        having = having_all(tag)
        wanted = {PROGRAM: np.float32(WEIGHT) * weighed(query, having)}
        query = standardised(query[None])[0]
        for weight, lift in product(WEIGHTS, LIFTS):
            wanted[weight, lift] = weight * query + np.float32(lift) * having
        for point, words in wanted.items():
            found["popular"][point][tag] = recall(at.popular[0] + words, items)
            if tag in asked:
                each = [recall(at.taste[row] + words, of) for row, of in asked[tag]]
                found["history"][point][tag] = float(np.mean(each))
    return found


def measured(
    found: dict[str, dict[Point, dict[str, float]]], tags: Sequence[str]
) -> dict[str, Any]:
    """Test recall of each kind, by tag and split, at the point that the other tags choose."""
    result: dict[str, Any] = {}
    for kind, by_point in found.items():
        values, chosen = [], []
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(len(tags))
            test = {tags[i] for i in order[: len(tags) // 5]}
            mean = {
                point: np.mean([value for tag, value in of.items() if tag not in test])
                for point, of in by_point.items()
            }
            chosen.append(max(mean, key=mean.__getitem__))
            values.append({t: v for t, v in by_point[chosen[-1]].items() if t in test})
        result[kind] = {"values": values, "chosen": chosen}
    return result


def compared(ours: list[dict[str, float]], other: list[dict[str, float]]) -> dict[str, float]:
    """Means over splits; of ours less other a 95 % interval and p, by bootstrap over tags."""
    tags = sorted({tag for split in ours for tag in split})
    # A tag that is test in two splits is one tag: it is drawn with both of its values.
    gap = np.array([
        sum(a[t] - b[t] for a, b in zip(ours, other, strict=True) if t in a) for t in tags
    ])
    size = sum(map(len, ours))
    draw = np.random.default_rng(0).integers(0, len(tags), (RESAMPLES, len(tags)))
    drawn = gap[draw].sum(axis=1) / size
    low, high = np.quantile(drawn, (0.025, 0.975))
    # As likely as a gap of the other sign, twice; never less than one of the resamples.
    p = min(1.0, 2 * (min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1) / (RESAMPLES + 1))
    mean = [float(np.mean([v for split in each for v in split.values()])) for each in (ours, other)]
    return {"ours": mean[0], "other": mean[1], "low": float(low), "high": float(high), "p": p}
