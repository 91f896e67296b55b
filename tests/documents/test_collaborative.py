import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tokens.space import NOBODY, TokenSpace
from support.strategies import histories
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer

NUM_ITEMS = 30
PROMPTS = Prompts.build(tiny_tokenizer())


def corpus_of(rows, *, seed=0, order="random", user_token_dropout=0.0, max_items=256):
    space = TokenSpace(NUM_WORDS, len(rows), NUM_ITEMS)
    interactions = Interactions.from_lists(rows, NUM_ITEMS)
    config = SETS.corpus.changed(order=order, max_items=max_items)
    return CollaborativeCorpus(
        interactions, space, PROMPTS, config, seed, user_token_dropout=user_token_dropout
    )


def items_of(document, num_users):
    return TokenSpace(NUM_WORDS, num_users, NUM_ITEMS).item_number(document.main).tolist()


orders = st.sampled_from(["random", "time"])


@given(histories(), orders, st.integers(0, 3))
def test_every_item_of_a_history_appears_once(rows, order, epoch):
    corpus = corpus_of(rows, order=order)
    assert corpus.users.tolist() == [user for user, row in enumerate(rows) if row]
    assert len(corpus) == len(corpus.users)
    for index, user in enumerate(corpus.users):
        found = items_of(corpus.document(index, epoch), len(rows))
        assert sorted(found) == sorted(rows[user])


@given(histories(), orders, st.integers(1, 8))
def test_lengths_are_those_of_the_documents(rows, order, max_items):
    corpus = corpus_of(rows, order=order, max_items=max_items)
    assert corpus.lengths().tolist() == [len(corpus.document(i, 0)) for i in range(len(corpus))]


@given(histories(), orders, st.integers(1, 8))
def test_a_long_history_loses_items_and_never_its_prompt(rows, order, max_items):
    corpus = corpus_of(rows, order=order, max_items=max_items)
    for index, user in enumerate(corpus.users):
        document = corpus.document(index, 0)
        found = items_of(document, len(rows))
        assert len(found) == len(set(found)) == min(len(rows[user]), max_items)
        assert set(found) <= set(rows[user])
        expected = PROMPTS.history.fill(user=entity(NUM_WORDS + int(user)))
        assert document.prompt.tolist() == expected.tolist()


def test_in_time_order_a_long_history_keeps_its_newest():
    corpus = corpus_of([[5, 3, 9, 1]], order="time", max_items=2)
    assert items_of(corpus.document(0, 0), 1) == [9, 1]


def test_in_random_order_each_epoch_has_its_own():
    corpus = corpus_of([list(range(20)), list(range(20))])
    drawn = [tuple(corpus.document(i, epoch).main) for i in range(2) for epoch in range(3)]
    assert len(set(drawn)) == 6


@pytest.mark.parametrize("order", ["random", "time"])
def test_a_document_is_a_function_of_seed_epoch_and_user(order):
    rows = [[], list(range(20)), list(range(5, 15))]
    first, second = corpus_of(rows, order=order), corpus_of(rows, order=order)
    forwards = [first.document(i, e).main.tolist() for e in range(3) for i in range(2)]
    backwards = [second.document(i, e).main.tolist() for e in (2, 1, 0) for i in (1, 0)]
    assert forwards == backwards[::-1]
    # What the others did does not matter, nor does the place among them.
    other = corpus_of([[7], list(range(20)), []], order=order)
    assert items_of(other.document(1, 1), 3) == items_of(first.document(0, 1), 3)


def test_the_seed_changes_the_order():
    rows = [list(range(20))]
    assert (
        corpus_of(rows, seed=1).document(0, 0).main.tolist()
        != corpus_of(rows, seed=2).document(0, 0).main.tolist()
    )


def test_the_interactions_stay_as_they_are():
    items = np.arange(20, dtype=np.int32)
    items.flags.writeable = False
    interactions = Interactions(np.array([0, 20]), items, NUM_ITEMS)
    space = TokenSpace(NUM_WORDS, 1, NUM_ITEMS)
    corpus = CollaborativeCorpus(interactions, space, PROMPTS, SETS.corpus, 0)
    assert corpus.document(0, 0).main.tolist() != space.item(items).tolist()


@given(histories(), orders, st.integers(0, 3), st.booleans())
def test_the_user_token_is_dropped_always_or_never(rows, order, epoch, dropped):
    corpus = corpus_of(rows, order=order, user_token_dropout=float(dropped))
    for index, user in enumerate(corpus.users):
        token = NOBODY if dropped else NUM_WORDS + int(user)
        expected = PROMPTS.history.fill(user=entity(token))
        assert corpus.document(index, epoch).prompt.tolist() == expected.tolist()


def test_dropout_takes_its_share_of_user_tokens_and_moves_no_item():
    rows = [list(range(9))] * 20
    whole, dropped = corpus_of(rows), corpus_of(rows, user_token_dropout=0.2)
    nobodies = 0
    for index in range(20):
        for epoch in range(100):
            document = dropped.document(index, epoch)
            assert document.main.tolist() == whole.document(index, epoch).main.tolist()
            nobodies += NOBODY in document.prompt
    # Binomial(2000, 0.2): 400 expected, standard deviation 17.9; five of them either way.
    assert abs(nobodies - 400) < 90
