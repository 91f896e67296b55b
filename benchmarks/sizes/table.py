"""The table: each row at each size of the log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.queries.rivals import exchanged, sentence_encoder
from benchmarks.sizes.linear import Table, scores
from benchmarks.sizes.shops import ORDERS, Asked, Part, Shop
from cllm4rec import progress
from cllm4rec.baselines.base import Context
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.intervals import bootstrap_interval, paired_bootstrap_p
from cllm4rec.evaluation.metrics import hits, ndcg_at, recall_at
from cllm4rec.linear.text_vectors import READ_POWER, item_text_vectors, whitened, with_reading
from cllm4rec.models.reading import Reader
from cllm4rec.ranking import top_k

MEASURES = ("recall@20", "ndcg@100")
PENALTIES = (5.0, 20.0, 80.0, 300.0, 1000.0, 3000.0)
ALPHAS = (0.2, 1.0, 5.0, 20.0, 80.0)
POPULARITY = (0.0, 0.1, 0.3, 1.0)
"""Weights of the logarithm of popularity, of std 1, beside a row's scores, of std 1."""
OURS = "TF-IDF + reading"

Vectors = NDArray[np.float32]
Setting = tuple[float, float, float]
"""Weight of the texts, penalty, weight of popularity."""


@dataclass(frozen=True, slots=True)
class Row:
    """Item texts as the linear model gets them.

    Attributes:
        name: of the row.
        vectors: by the seed of an order, ``[items, d]``; None: no texts.
    """

    name: str
    vectors: Callable[[int], Vectors] | None


def table(data: Dataset, minilm: Path | None, backbone: str, depth: int) -> dict[str, Any]:
    """Recall@20 and NDCG@100 of each row at each size, and how far ours is from it."""
    log = data.known("recommend")
    words = Context.of(data).words
    shops = [Shop.of(log, seed) for seed in range(ORDERS)]
    rows = list(readings(words, minilm, backbone, depth))
    sizes: dict[str, dict[str, Any]] = {}
    for size in shops[0].sizes():
        values: dict[str, Table] = {}
        with progress.task(f"Shops of {size} users", total=len(rows), unit="row") as task:
            for row in rows:
                setting, values[row.name] = _measured(row, shops, size)
                sizes.setdefault(str(size), {})[row.name] = {"setting": setting}
                task.advance()
        for name, of in values.items():
            sizes[str(size)][name] |= _compared(of, values[OURS])
    counts = [shop.asked["test"].history.num_users for shop in shops]
    return {"items": log.num_items, "test_users": counts, "sizes": sizes}


def readings(words: Sequence[str], minilm: Path | None, backbone: str, depth: int) -> Iterator[Row]:
    """What reads the texts: nothing, TF-IDF, the language model, a sentence encoder."""
    tf_idf = item_text_vectors(words)

    def read(**settings: Any) -> Vectors:
        return Reader(backbone, depth, **settings).vectors(words)

    true = read()
    drawn = {seed: read(weights="random", seed=seed) for seed in range(ORDERS)}
    both, others = with_reading(tf_idf, true), exchanged(words)
    yield Row("no texts", None)
    yield Row("TF-IDF", lambda seed: tf_idf)
    yield Row("reading", lambda seed: whitened(true, READ_POWER))
    yield Row(OURS, lambda seed: both)
    yield Row("TF-IDF + random layers", lambda seed: with_reading(tf_idf, drawn[seed]))
    yield Row("TF-IDF + reading, texts permuted", lambda seed: both[others])
    if minilm is not None:
        encoded = sentence_encoder(minilm)(words)
        yield Row("MiniLM", lambda seed: whitened(encoded, READ_POWER))
        yield Row("TF-IDF + MiniLM", lambda seed: with_reading(tf_idf, encoded))


def _measured(row: Row, shops: list[Shop], size: int) -> tuple[Setting, Table]:
    """The setting that is best on the validation users of all orders, and test values with it."""
    tried: dict[Setting, list[float]] = {}
    for shop in shops:
        for setting, values in _values(row, shop, size, "valid", _grid(row)):
            tried.setdefault(setting, []).append(values.mean(axis=0).sum())
    best = max(tried, key=lambda setting: sum(tried[setting]))
    alpha, penalty, weight = best
    only = {alpha: ((penalty,), (weight,))}
    test = [values for shop in shops for _, values in _values(row, shop, size, "test", only)]
    return best, np.concatenate(test)


Grid = Mapping[float, tuple[tuple[float, ...], tuple[float, ...]]]


def _grid(row: Row) -> Grid:
    return {alpha: (PENALTIES, POPULARITY) for alpha in (ALPHAS if row.vectors else (0.0,))}


def _values(
    row: Row, shop: Shop, size: int, part: Part, grid: Grid
) -> Iterator[tuple[Setting, Table]]:
    """Both measures of every user, ``[users, 2]``, by setting."""
    train, asked = shop.pool.rows(np.arange(size)), shop.asked[part]
    vectors = row.vectors(shop.seed) if row.vectors else np.zeros((train.num_items, 0), np.float32)
    popularity = _standardised(np.log1p(train.item_counts())[None])
    for alpha, (penalties, weights) in grid.items():
        found = scores(train, vectors, asked.history, alpha, penalties)
        for penalty, table in zip(penalties, found, strict=True):
            own = _standardised(table)
            for weight in weights:
                yield (alpha, penalty, weight), _lists(own + weight * popularity, asked)


def _standardised(values: Table) -> Table:
    std = values.std(axis=1, keepdims=True)
    centred: Table = values - values.mean(axis=1, keepdims=True)
    return centred / np.where(std > 0, std, 1)


def _lists(values: Table, asked: Asked) -> Table:
    listed = top_k(values.astype(np.float32), asked.history, 100)[0]
    relevant: Interactions = asked.relevant
    hit, counts = hits(listed, relevant), relevant.counts()
    return np.stack([recall_at(hit, counts, 20), ndcg_at(hit, counts, 100)], axis=1)


def _compared(other: Table, mine: Table) -> dict[str, Any]:
    """Means of a row; ours less the row with its interval and p."""
    result: dict[str, Any] = {}
    for at, name in enumerate(MEASURES):
        low, high = bootstrap_interval(mine[:, at] - other[:, at])
        p = paired_bootstrap_p(mine[:, at], other[:, at])
        said = {"mean": float(other[:, at].mean()), "low": low, "high": high, "p": p}
        result[name] = {key: round(value, 4) for key, value in said.items()}
    return result


def show(result: dict[str, Any]) -> None:
    """Print Recall@20 of each row by size."""
    click.echo(f"Recall@20 of {sum(result['test_users'])} users by the number of others in the log")
    names = list(next(iter(result["sizes"].values())))
    click.echo(f"  {'':32s} " + " ".join(f"{size:>6s}" for size in result["sizes"]))
    for name in names:
        cells = (of[name]["recall@20"]["mean"] for of in result["sizes"].values())
        click.echo(f"  {name:32s} " + " ".join(f"{value:6.3f}" for value in cells))
