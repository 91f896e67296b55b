"""What answers queries: ours, BM25, TF-IDF and a sentence encoder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.queries.tags import Scores, World
from cllm4rec.errors import InputError
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.linear.word_index import WordIndex
from cllm4rec.models.backbone import num_layers
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.recommender.queries import Queries

DRAWS = (0, 1, 2)
"""Seeds of random layers."""


@dataclass(frozen=True, slots=True)
class Row:
    """What answers a query.

    Attributes:
        name: of the row.
        scores: of all items; zeros where there is no answer.
        having_all: which items have every word of a query.
    """

    name: str
    scores: Callable[[str], Scores]
    having_all: Callable[[str], Scores]


def rows(at: World, minilm: Path | None, backbone: str) -> Iterator[Row]:
    """What answers a query."""
    nothing = np.zeros(len(at.words), np.float32)

    def quiet(queries: Queries, query: str) -> Scores:
        try:
            return queries.scores(query)
        except InputError:
            return nothing

    def with_every_word(words: Sequence[str]) -> Callable[[str], Scores]:
        index = WordIndex.fit(words)
        return lambda query: index.having_all(index.words_of(query))

    having_all = with_every_word(at.words)
    yield from bm25(at.words)
    space = TextSpace.fit(at.words)
    yield Row(
        "TF-IDF",
        lambda query: (space.tf_idf @ space.tf_idf_of([query]).T).toarray()[:, 0],
        having_all,
    )
    yield Row("TF-IDF/SVD", lambda query: space.placed @ space.vectors([query])[0], having_all)
    reader = {"backbone": backbone, "depth": depth_of(backbone)}
    drawn = {**reader, "weights": "random"}
    for name, settings, words in (
        ("ours, words alone", None, at.words),
        *((f"ours, random layers {seed}", {**drawn, "seed": seed}, at.words) for seed in DRAWS),
        ("ours, texts permuted", reader, [at.words[other] for other in exchanged(at.words)]),
        ("ours", reader, at.words),
    ):
        queries = Queries.of(words, settings)
        assert queries is not None
        yield Row(name, partial(quiet, queries), with_every_word(words))
    if minilm is not None:
        encode = sentence_encoder(minilm)
        items = encode(at.words)
        yield Row("MiniLM", lambda query: items @ encode([query])[0], having_all)


def exchanged(words: Sequence[str]) -> NDArray[np.int64]:
    """Whose text each item gets in a control row: another's that has one, where it has one."""
    order, given = np.arange(len(words)), np.flatnonzero([bool(text) for text in words])
    order[given] = np.random.default_rng(0).permutation(given)
    return order


def depth_of(backbone: str) -> int:
    """Layers that read: eight, or all of a smaller model."""
    return min(8, num_layers(find_backbone(backbone)))


def bm25(words: Sequence[str]) -> Iterator[Row]:
    """``bm25s`` as it comes, and with the Snowball stemmer."""
    import bm25s
    import Stemmer

    for name, stemmer in (("BM25", None), ("BM25, stemmed", Stemmer.Stemmer("english"))):
        cut = partial(bm25s.tokenize, stopwords="en", stemmer=stemmer, show_progress=False)
        index, each = bm25s.BM25(), cut(list(words), return_ids=False)
        index.index(each, show_progress=False)
        sets = list(map(set, each))

        def scores(query: str, cut: Any = cut, index: Any = index) -> Scores:
            [terms] = cut([query], return_ids=False)
            known = [term for term in terms if term in index.vocab_dict]
            return index.get_scores(known) if known else np.zeros(len(words), np.float32)

        def having_all(query: str, cut: Any = cut, sets: Any = sets) -> Scores:
            terms = set(cut([query], return_ids=False)[0])
            return np.array([bool(terms) and terms <= of for of in sets])

        yield Row(name, scores, having_all)


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
