"""Hot paths without gradients: documents, batches, ranked lists, the linear model's scores."""

import functools

import numpy as np
import pytest

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.prompts import Prompts
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.ranking import top_k
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import TokenSpace
from reference import documents as slow_documents
from reference import linear_model as slow_linear
from reference import metrics as slow_metrics
from reference.documents import prediction_document
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer

CONFIG = SETS.corpus.changed(order="time")


def histories(users: int, items: int, longest: int) -> Interactions:
    rng = np.random.default_rng(0)
    rows = [rng.permutation(items)[: 1 + rng.integers(longest)].tolist() for _ in range(users)]
    return Interactions.from_lists(rows, items)


def corpus_inputs(users: int, items: int, longest: int):
    interactions = histories(users, items, longest)
    space = TokenSpace(NUM_WORDS, users, items)
    prompts = Prompts.build(tiny_tokenizer())
    return (
        CollaborativeCorpus(interactions, space, prompts, CONFIG, 0),
        interactions,
        space,
        prompts,
    )


SIZES = {"users": (5, 256), "items": (12, 1447), "longest": (8, 200)}


def test_history_documents(hot):
    def build(corpus, *_):
        return [corpus.document(index, 0) for index in range(len(corpus))]

    found, (_, interactions, space, _) = hot(build, corpus_inputs, **SIZES)
    for user, document in enumerate(found):
        expected = slow_documents.history(
            tiny_tokenizer(), space, user, interactions.of(user).tolist()
        )
        assert [*document.prompt.tolist(), *document.main.tolist()] == expected


@pytest.mark.parametrize("known", [True, False], ids=["with a token", "nobody"])
def test_questions(hot, known):
    def build(_, interactions, space, prompts):
        return [
            prediction_document(
                user if known else None, interactions.of(user), space, prompts, CONFIG, 0
            )
            for user in range(interactions.num_users)
        ]

    found, (_, interactions, space, _) = hot(build, corpus_inputs, **SIZES)
    for user, document in enumerate(found):
        expected = slow_documents.question(
            tiny_tokenizer(), space, user if known else None, interactions.of(user).tolist()
        )
        assert document.prompt.tolist() == expected


def test_collate(hot):
    def inputs(**sizes):
        corpus = corpus_inputs(**sizes)[0]
        return ([corpus.document(index, 0) for index in range(len(corpus))],)

    batch, (documents,) = hot(collate, inputs, **SIZES)
    assert batch.tokens.tolist() == slow_documents.padded(documents)
    assert batch.lengths.tolist() == [len(document) for document in documents]


def test_top_k(hot):
    def inputs(users, items, longest, k):
        known = histories(users, items, longest)
        scores = np.random.default_rng(1).integers(0, 2 * items, (users, items))
        return scores.astype(np.float32), known, k

    (found, _), (scores, known, k) = hot(top_k, inputs, **SIZES, k=(3, 100))
    for user, row in enumerate(found.tolist()):
        assert row == slow_metrics.top_k(scores[user], set(known.of(user).tolist()), k)


@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_linear_scores(hot, decay):
    def inputs(users, items, longest, decay):
        weights = np.random.default_rng(2).standard_normal((items, items)).astype(np.float32)
        settings = {"windows": False, "decay": decay}
        return LinearModel(weights, settings), histories(users, items, longest)

    def score(model, history):
        return model.score(np.arange(history.num_users, dtype=np.int32), history)

    found, (model, history) = hot(score, functools.partial(inputs, decay=decay), **SIZES)
    for user, row in enumerate(found):
        expected = slow_linear.scores(history.of(user).tolist(), model.weights, decay)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
