import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.documents.recommendation import RecommendationCorpus
from cllm4rec.tokens.space import ANONYMOUS, TokenSpace
from support.strategies import histories
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer

NUM_ITEMS = 30
PROMPTS = Prompts.build(tiny_tokenizer())
QUESTION = PROMPTS.recommendation.fill(user=entity(ANONYMOUS), items=np.empty(0, np.int32))
END = QUESTION[np.flatnonzero(QUESTION == ANONYMOUS)[1] - 1 :]
"""The tokens of `, <user> will interact with`, of an anonymous user."""


def corpus_of(
    rows,
    *,
    seed=0,
    holdout=0.5,
    exact=False,
    user_token_dropout=0.0,
    order="random",
    **config,
):
    return RecommendationCorpus(
        Interactions.from_lists(rows, NUM_ITEMS),
        TokenSpace(NUM_WORDS, len(rows), NUM_ITEMS),
        PROMPTS,
        SETS.corpus.changed(order=order, **config),
        seed,
        holdout=holdout,
        exact=exact,
        user_token_dropout=user_token_dropout,
    )


def items_in(prompt, num_users):
    space = TokenSpace(NUM_WORDS, num_users, NUM_ITEMS)
    return space.item_number(prompt[space.is_item(prompt)]).tolist()


orders = st.sampled_from(["random", "time"])
shares = st.sampled_from([0.01, 0.2, 0.5, 1.0, 3.0])


@given(histories(), orders, shares, st.integers(0, 3))
def test_history_and_holdout_are_the_whole_history_and_share_nothing(rows, order, share, epoch):
    corpus = corpus_of(rows, order=order, holdout=share)
    assert corpus.users.tolist() == [user for user, row in enumerate(rows) if len(row) >= 2]
    assert len(corpus) == len(corpus.users)
    for index, user in enumerate(corpus.users):
        example = corpus.example(index, epoch)
        history, holdout = example.history.tolist(), example.holdout.tolist()
        assert sorted(history + holdout) == sorted(rows[user])
        assert history
        assert 1 <= len(holdout) <= max(1, round(share * len(rows[user])))
        assert items_in(example.document.prompt, len(rows)) == history
        assert len(example.document.main) == 0


@given(histories(), orders, st.integers(1, 5), st.booleans())
def test_an_over_long_prompt_loses_history_and_never_its_end(rows, order, max_items, anonymous):
    corpus = corpus_of(rows, order=order, max_items=max_items, user_token_dropout=float(anonymous))
    for index, user in enumerate(corpus.users):
        example = corpus.example(index, 0)
        left = len(rows[user]) - len(example.holdout)
        assert len(example.history) == min(left, max_items)
        assert not {*example.history.tolist()} & {*example.holdout.tolist()}
        assert {*example.history.tolist(), *example.holdout.tolist()} <= {*rows[user]}
        token = ANONYMOUS if anonymous else NUM_WORDS + int(user)
        expected = np.where(END == ANONYMOUS, token, END)
        assert example.document.prompt[-len(END) :].tolist() == expected.tolist()


@given(histories(), st.integers(1, 5), st.integers(0, 3))
def test_in_time_order_the_newest_of_what_is_left_is_kept_in_order(rows, max_items, epoch):
    corpus = corpus_of(rows, order="time", max_items=max_items)
    for index, user in enumerate(corpus.users):
        example = corpus.example(index, epoch)
        holdout = example.holdout.tolist()
        left = [item for item in rows[user] if item not in holdout]
        assert example.history.tolist() == left[-max_items:]
        assert holdout == [item for item in rows[user] if item in holdout]


@pytest.mark.parametrize("anonymous", [True, False])
def test_the_user_token_stands_in_both_places(anonymous):
    corpus = corpus_of([[], [1, 2, 3]], user_token_dropout=float(anonymous))
    token = ANONYMOUS if anonymous else NUM_WORDS + 1
    prompt = corpus.example(0, 0).document.prompt
    assert prompt[0] == token
    assert np.flatnonzero(prompt == token).tolist() == [0, len(prompt) - len(END) + 1]
    other = NUM_WORDS + 1 if anonymous else ANONYMOUS
    assert other not in prompt


def test_dropout_takes_its_share_of_user_tokens():
    corpus = corpus_of([[1, 2, 3]] * 20, user_token_dropout=0.2)
    prompts = [corpus.example(i, e).document.prompt for i in range(20) for e in range(100)]
    anonymous = sum(prompt[0] == ANONYMOUS for prompt in prompts)
    # Binomial(2000, 0.2): 400 expected, standard deviation 17.9; five of them either way.
    assert abs(anonymous - 400) < 90


def test_dropping_the_user_token_does_not_move_the_masks():
    rows = [list(range(20))] * 5
    with_tokens, without = corpus_of(rows), corpus_of(rows, user_token_dropout=1.0)
    for index in range(5):
        assert with_tokens.example(index, 0).holdout.tolist() == (
            without.example(index, 0).holdout.tolist()
        )


def test_the_masked_share_is_uniform_up_to_the_largest():
    corpus = corpus_of([list(range(30))] * 20, holdout=0.5)
    sizes = np.array([len(corpus.example(i, e).holdout) for i in range(20) for e in range(100)])
    # round(15 u): 2 … 14 have 1/15 each; 0 counts as 1, so 1 has 1.5/15; 15 has 0.5/15.
    expected = np.array([1.5, *[1] * 13, 0.5]) / 15 * 2000
    found = np.bincount(sizes, minlength=16)[1:]
    assert found.sum() == 2000
    assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()


@given(histories(), st.sampled_from([0.2, 0.25, 0.5, 1.0]), st.integers(0, 3))
def test_an_exact_share_is_the_authors_number_of_items(rows, share, epoch):
    """``max(1, int(len(history) * 0.2))`` in their `data.py`; one item at least stays."""
    corpus = corpus_of(rows, holdout=share, exact=True)
    for index, user in enumerate(corpus.users):
        size = len(rows[user])
        expected = min(max(1, int(size * share)), size - 1)
        assert len(corpus.example(index, epoch).holdout) == expected


def test_of_30_items_an_exact_fifth_is_6_in_every_epoch():
    corpus = corpus_of([list(range(30))], holdout=0.2, exact=True)
    assert {len(corpus.example(0, epoch).holdout) for epoch in range(50)} == {6}
    uniform = corpus_of([list(range(30))], holdout=0.2)
    assert len({len(uniform.example(0, epoch).holdout) for epoch in range(50)}) > 3


def test_every_item_is_masked_equally_often():
    corpus = corpus_of([list(range(20))] * 20, holdout=0.5, order="time")
    masked = [corpus.example(i, e).holdout for i in range(20) for e in range(100)]
    counts = np.bincount(np.concatenate(masked), minlength=20)
    mean = counts.mean()
    assert (np.abs(counts - mean) < 5 * np.sqrt(mean)).all()


@pytest.mark.parametrize("order", ["random", "time"])
def test_an_example_is_a_function_of_seed_epoch_and_user(order):
    rows = [[1], list(range(20)), list(range(5, 15))]

    def written(corpus, index, epoch):
        example = corpus.example(index, epoch)
        return example.document.prompt.tolist(), example.holdout.tolist()

    first, second = corpus_of(rows, order=order), corpus_of(rows, order=order)
    forwards = [written(first, i, e) for e in range(3) for i in range(2)]
    backwards = [written(second, i, e) for e in (2, 1, 0) for i in (1, 0)]
    assert forwards == backwards[::-1]
    assert len({str(example) for example in forwards}) == 6
    other = corpus_of([[7, 8], list(range(20)), []], order=order)
    assert written(other, 1, 1) == written(first, 0, 1)
    assert written(corpus_of(rows, order=order, seed=1), 0, 0) != written(first, 0, 0)
