"""What answers queries: ours, BM25, TF-IDF and a sentence encoder."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.queries.tags import Scores, World
from cllm4rec.errors import InputError
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.models.backbone import num_layers
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.recommender.queries import Queries


def rows(
    at: World, minilm: Path | None, backbone: str
) -> Iterator[tuple[str, Callable[[str], Scores]]]:
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
    reader = {"backbone": backbone, "depth": depth_of(backbone)}
    for name, settings in (
        ("ours, words alone", None),
        ("ours, random layers", {**reader, "weights": "random"}),
        ("ours", reader),
    ):
        queries = Queries.of(at.words, settings)
        assert queries is not None
        yield name, partial(quiet, queries)
    if minilm is not None:
        encode = sentence_encoder(minilm)
        items = encode(at.words)
        yield "MiniLM", lambda query: items @ encode([query])[0]


def depth_of(backbone: str) -> int:
    """Layers that read: eight, or all of a smaller model."""
    return min(8, num_layers(find_backbone(backbone)))


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
