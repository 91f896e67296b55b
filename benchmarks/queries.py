"""``python benchmarks/queries.py``: do queries in words find the items that carry a tag?

A tag is a query; relevant are the items that somebody gave it. The tags are in no text: of the
input folder ``interactions``, ``items`` and ``reviews.parquet`` are read, and the reviews are the
tags. A fifth of the tags is test, the others choose each row's blend weight, in three random
splits. `recommender.queries` stands beside BM25 (``bm25s``), TF-IDF and, with ``--minilm``,
sentence vectors of MiniLM; each alone, with popularity, and with a history that EASE scores.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.entry import run_command
from cllm4rec.baselines import Context
from cllm4rec.cli.output import output_option
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.linear.ease import gram_matrix, inverse_gram, weights_of
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.recommender.queries import Queries, standardised

K = 20
WEIGHTS = (0.1, 0.15, 0.25, 0.4, 0.6, 1.0)
"""Of a query's standardised scores beside taste; each row chooses its own on training tags."""
SPLITS = 3
L2 = 200.0
PAIRS = 3000
"""Most pairs of a user and a tag of which the user has a test item."""
RESAMPLES = 2000

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class World:
    """Tags and tastes.

    Attributes:
        words: one text per item.
        tags: tag → item numbers; two items or more.
        popular: standardised log of interactions, ``[1, items]``.
        pairs: tag, row of ``taste``, the user's test items with the tag.
        taste: standardised scores of EASE, ``[users, items]``, −inf for the history.
    """

    words: Sequence[str]
    tags: dict[str, NDArray[np.int64]]
    popular: Scores
    pairs: list[tuple[str, int, NDArray[np.int64]]]
    taste: Scores


def world(data: Path) -> World:
    """Read a folder, without a word of its reviews among the texts."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("interactions", "items"):
            (Path(scratch) / f"{name}.parquet").symlink_to(data.resolve() / f"{name}.parquet")
        dataset = Dataset.load(scratch)
        words = Context.of(dataset).words
    number = {item: at for at, item in enumerate(dataset.items.external.to_pylist())}
    found: dict[str, set[int]] = defaultdict(set)
    for row in pq.read_table(data / "reviews.parquet").to_pylist():
        if row["item_id"] in number:
            found[" ".join(row["text"].lower().split())].add(number[row["item_id"]])
    tags = {tag: np.array(sorted(of)) for tag, of in sorted(found.items()) if len(of) >= 2}
    train = dataset.part("train")
    popular = standardised(np.log1p(train.item_counts()).astype(np.float32)[None])
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
    return World(words, tags, popular, [(t, place[u], i) for t, u, i in pairs], taste)


def rows(at: World, minilm: Path | None) -> Iterator[tuple[str, Callable[[str], Scores]]]:
    """What answers a query with scores of all items, by name; zeros where there is no answer."""
    nothing = np.zeros(len(at.words), np.float32)

    def quiet(queries: Queries, query: str) -> Scores:
        try:
            return queries.scores(query)
        except InputError:
            return nothing

    yield from bm25(at.words)
    space = TextSpace.fit(at.words)
    yield "TF-IDF", lambda query: (space.tf_idf @ space.tf_idf_of([query]).T).toarray()[:, 0]
    yield "TF-IDF/SVD", lambda query: space.placed @ space.vectors([query])[0]
    for name, reader in (
        ("ours, words alone", None),
        ("ours, random layers", {"backbone": "smollm2-135m", "depth": 8, "weights": "random"}),
        ("ours", {"backbone": "smollm2-135m", "depth": 8}),
    ):
        queries = Queries.of(at.words, reader)
        assert queries is not None
        yield name, partial(quiet, queries)
    if minilm is not None:
        encode = sentence_encoder(minilm)
        items = encode(at.words)
        yield "MiniLM", lambda query: items @ encode([query])[0]


def bm25(words: Sequence[str]) -> Iterator[tuple[str, Callable[[str], Scores]]]:
    """``bm25s`` as it comes, and with the Snowball stemmer."""
    import bm25s
    import Stemmer

    for name, stemmer in (("BM25", None), ("BM25, stemmed", Stemmer.Stemmer("english"))):
        cut = partial(bm25s.tokenize, stopwords="en", stemmer=stemmer, show_progress=False)
        index = bm25s.BM25()
        index.index(cut(list(words)), show_progress=False)

        def scores(query: str, cut: Any = cut, index: Any = index) -> Scores:
            [terms] = cut([query], return_ids=False)
            known = [term for term in terms if term in index.vocab_dict]
            return index.get_scores(known) if known else np.zeros(len(words), np.float32)

        yield name, scores


def sentence_encoder(folder: Path) -> Callable[[Sequence[str]], Scores]:
    """Mean-pooled, normalised vectors of a sentence encoder, 256 tokens of each text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> Scores:
        order = np.argsort([len(text) for text in texts])
        found = np.zeros((len(texts), model.config.hidden_size), np.float32)
        for start in range(0, len(order), 32):
            of = order[start : start + 32]
            tokens = tokenizer(
                [texts[i] for i in of],
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors="pt",
            )
            mask = tokens["attention_mask"][..., None].float()
            states = model(**tokens).last_hidden_state
            mean = (states * mask).sum(1) / mask.sum(1)
            found[of] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return found

    return encode


def recall(scores: Scores, relevant: NDArray[np.int64]) -> float:
    """Recall@20 of one list; an item without a score above the lowest is not listed."""
    best = np.argpartition(-scores, K)[:K]
    best = best[scores[best] > lowest(scores)]
    return float(np.isin(best, relevant).sum() / min(K, len(relevant)))


def lowest(scores: Scores) -> float:
    """The lowest score but of what may not be listed."""
    return float(scores[np.isfinite(scores)].min())


def per_tag(at: World, score: Callable[[str], Scores]) -> dict[str, dict[float, dict[str, float]]]:
    """Recall by kind of question (alone, popular, history), weight and tag."""
    asked: dict[str, list[tuple[int, NDArray[np.int64]]]] = defaultdict(list)
    for tag, row, items in at.pairs:
        asked[tag].append((row, items))
    found: dict[str, dict[float, dict[str, float]]] = {
        kind: defaultdict(dict) for kind in ("alone", "popular", "history")
    }
    for tag, items in at.tags.items():
        query = np.asarray(score(tag), np.float32)
        found["alone"][1.0][tag] = recall(query, items) if query.any() else 0.0
        query = standardised(query[None])[0]
        for weight in WEIGHTS:
            found["popular"][weight][tag] = recall(at.popular[0] + weight * query, items)
            if tag in asked:
                each = [recall(at.taste[row] + weight * query, of) for row, of in asked[tag]]
                found["history"][weight][tag] = float(np.mean(each))
    return found


def measured(
    found: dict[str, dict[float, dict[str, float]]], tags: Sequence[str]
) -> dict[str, Any]:
    """Test recall of each kind, by tag and split, at the weight that the other tags choose."""
    result: dict[str, Any] = {}
    for kind, by_weight in found.items():
        values, weights = [], []
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(len(tags))
            test = {tags[i] for i in order[: len(tags) // 5]}
            mean = {
                weight: np.mean([value for tag, value in of.items() if tag not in test])
                for weight, of in by_weight.items()
            }
            weights.append(max(mean, key=mean.__getitem__))
            values.append({t: v for t, v in by_weight[weights[-1]].items() if t in test})
        result[kind] = {"values": values, "weights": weights}
    return result


def compared(ours: list[dict[str, float]], other: list[dict[str, float]]) -> dict[str, float]:
    """Means over splits, and a 95 % interval of ours less other by bootstrap over tags."""
    tags = sorted({tag for split in ours for tag in split})
    # A tag that is test in two splits is one tag: it is drawn with both of its values.
    gap = np.array([
        sum(a[t] - b[t] for a, b in zip(ours, other, strict=True) if t in a) for t in tags
    ])
    size = sum(map(len, ours))
    draw = np.random.default_rng(0).integers(0, len(tags), (RESAMPLES, len(tags)))
    low, high = np.quantile(gap[draw].sum(axis=1) / size, (0.025, 0.975))
    mean = [float(np.mean([v for split in each for v in split.values()])) for each in (ours, other)]
    return {"ours": mean[0], "other": mean[1], "low": float(low), "high": float(high)}


def _show(result: dict[str, Any]) -> None:
    for kind, of in result["kinds"].items():
        click.echo(f"\n{kind}: Recall@{K} of held-out tags; ours less row, 95 %")
        for name, row in of.items():
            gap = f"{row['low']:+.3f} to {row['high']:+.3f}"
            click.echo(f"  {name:20s} {row['other']:.4f}  weights {row['weights']}  {gap}")


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, metavar="DIR")
@click.option("--minilm", type=click.Path(path_type=Path, exists=True), metavar="DIR")
@partial(output_option, show=_show)
def queries(data: Path, minilm: Path | None) -> dict[str, Any]:
    """Held-out tags as queries in words, beside BM25, TF-IDF and MiniLM."""
    at = world(data)
    tags = list(at.tags)
    found = {name: measured(per_tag(at, score), tags) for name, score in rows(at, minilm)}
    by_taste = {
        tag: float(
            np.mean([recall(at.taste[row].copy(), of) for t, row, of in at.pairs if t == tag])
        )
        for tag in {tag for tag, _, _ in at.pairs}
    }
    alone = [{tag: by_taste[tag] for tag in of} for of in found["ours"]["history"]["values"]]
    found["history alone"] = {"history": {"values": alone, "weights": []}}
    kinds: dict[str, Any] = {}
    for kind in ("alone", "popular", "history"):
        ours = found["ours"][kind]["values"]
        kinds[kind] = {
            name: {**compared(ours, of[kind]["values"]), "weights": of[kind]["weights"]}
            for name, of in found.items()
            if kind in of
        }
    return {"tags": len(tags), "pairs": len(at.pairs), "kinds": kinds}


if __name__ == "__main__":
    run_command(queries)
