"""Okapi BM25 and standardisation, word by word."""

import math
import re

import numpy as np

from cllm4rec.linear.function_words import FUNCTION_WORDS

K1, B = 1.2, 0.3


def _words(text):
    return re.findall(r"\w+", text.lower())


def _content(text):
    return [w for w in _words(text) if w not in FUNCTION_WORDS and len(w) > 1]


def bm25(texts, query):
    """Scores of every text for a query of words of two letters or more."""
    documents = [_words(text) for text in texts]
    lengths = [len(_content(text)) for text in texts]
    mean = sum(lengths) / len(lengths)
    found = []
    for document, length in zip(documents, lengths, strict=True):
        score = 0.0
        for word in set(_content(query) or _words(query)):
            having = sum(word in each for each in documents)
            if not having:
                continue
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            times = document.count(word)
            score += idf * times / (times + K1 * (1 - B + B * length / mean))
        found.append(score)
    return np.array(found)


def standardised(scores):
    """Mean 0, std 1."""
    scores = np.asarray(scores, np.float64)
    return (scores - scores.mean()) / scores.std()


def asked_for(scores, texts, query, weight=0.25):
    """What a query adds to standardised taste, 4 more for all of its words.

    Its words' scores, in such a unit that the best item has 14 at least; the best of those that
    have all words gets 20 at least, and the others of them as much more as it gets.
    """
    words = set(_content(query) or _words(query))
    having = [bool(words) and words <= set(_words(text)) for text in texts]
    scores = standardised(scores)
    if max(scores) < 14:
        scores = scores * 14 / max(scores)
    best = max((s for s, every in zip(scores, having, strict=True) if every), default=0)
    lift = 4 if best > 16 else 20 - best
    return weight * np.array([s + lift * every for s, every in zip(scores, having, strict=True)])
