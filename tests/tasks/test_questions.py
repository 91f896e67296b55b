"""What is asked of a trained model: for many users at once, as for each user alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import seeds
from cllm4rec.config import Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.collaborative import CollaborativeCorpus
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.tasks import TASKS, Task
from cllm4rec.tokens.batch import collate, collate_rows
from cllm4rec.tokens.space import ANONYMOUS, NOBODY, TokenSpace
from reference.documents import prediction_document
from support.strategies import histories
from support.tiny_backbone import NUM_WORDS, tiny_tokenizer
from support.toy_run import PLAIN

NUM_ITEMS = 30
NUM_USERS = 3
SPACE = TokenSpace(NUM_WORDS, NUM_USERS, NUM_ITEMS)
PROMPTS = Prompts.build(tiny_tokenizer())
QUESTION = PROMPTS.recommendation.fill(user=entity(ANONYMOUS), items=np.empty(0, np.int32))
END = QUESTION[np.flatnonzero(QUESTION == ANONYMOUS)[1] - 1 :]
"""The tokens of `, <user> will interact with`, of an anonymous user."""
CONFIGS = {
    f"{target}, {order}, at most {most}": {
        "corpus": {"order": order, "max_items": most},
        "finetune": {"target": target},
    }
    for target, order in (("holdout", "random"), ("holdout", "time"), ("next", "time"))
    for most in (256, 3)
}


def task_of(config: Config, space: TokenSpace = SPACE) -> Task:
    return TASKS[config.finetune.target](config, space, PROMPTS)


def one_by_one(users, known, config, space=SPACE):
    return [
        prediction_document(
            None if user < 0 else int(user),
            known.of(row),
            space,
            PROMPTS,
            config.corpus,
            seeds.derived_seed(config.seed, "prediction"),
            target=config.finetune.target,
        )
        for row, user in enumerate(users)
    ]


def together(users, known, config, space=SPACE):
    task = task_of(config, space)
    tokens = [task.placeholder if user < 0 else space.user(int(user)) for user in users]
    return task.questions(np.array(tokens, np.int32), known)


@pytest.mark.parametrize("name", CONFIGS)
@given(rows=histories(num_items=NUM_ITEMS), data=st.data())
def test_every_row_is_the_document_of_its_user(name, rows, data):
    config = PLAIN.changed(**CONFIGS[name])
    known = Interactions.from_lists(rows, NUM_ITEMS)
    user = st.integers(-1, NUM_USERS - 1)
    users = np.array(data.draw(st.lists(user, min_size=len(rows), max_size=len(rows))))
    found, wanted = together(users, known, config), one_by_one(users, known, config)
    batch = collate_rows(found.tokens, found.offsets, found.main_starts)
    expected = collate(wanted)
    for name in ("tokens", "lengths", "main_starts"):
        assert getattr(batch, name).tolist() == getattr(expected, name).tolist(), name
    assert found.lengths.tolist() == [len(document) for document in wanted]


@pytest.mark.parametrize("target", TASKS)
@given(rows=histories(num_items=NUM_ITEMS))
def test_without_user_tokens_everyone_is_asked_about_by_history(target, rows):
    config = PLAIN.changed(**{"corpus": {"order": "time"}, "finetune": {"target": target}})
    space = TokenSpace(NUM_WORDS, 0, NUM_ITEMS)
    known, nobody = Interactions.from_lists(rows, NUM_ITEMS), np.full(len(rows), -1)
    found = together(nobody, known, config, space)
    batch = collate_rows(found.tokens, found.offsets, found.main_starts)
    expected = collate(one_by_one(nobody, known, config, space))
    assert batch.tokens.tolist() == expected.tokens.tolist()


@pytest.mark.parametrize("name", CONFIGS)
@given(rows=histories(num_items=NUM_ITEMS), data=st.data())
def test_rows_can_be_put_in_any_order(name, rows, data):
    config = PLAIN.changed(**CONFIGS[name])
    known = Interactions.from_lists(rows, NUM_ITEMS)
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    users = np.arange(len(rows)) % NUM_USERS
    turned = together(users, known, config).reordered(order)
    again = together(users[order], known.rows(order), config)
    assert turned.tokens.tolist() == again.tokens.tolist()
    assert turned.offsets.tolist() == again.offsets.tolist()
    assert turned.main_starts.tolist() == again.main_starts.tolist()


def test_a_repeated_item_of_a_set_is_asked_about_once():
    config = PLAIN.changed(**{"corpus": {"order": "random"}})
    repeated = Interactions.from_lists([[3, 1, 3], [1]], NUM_ITEMS)
    once = Interactions.from_lists([[1, 3], [1]], NUM_ITEMS)
    users = np.array([-1, 2])
    assert (
        together(users, repeated, config).tokens.tolist()
        == together(users, once, config).tokens.tolist()
    )


def items_in(prompt):
    return SPACE.item_number(prompt[SPACE.is_item(prompt)]).tolist()


def predicted(user, history, *, seed=0, order="random", max_items=256, target="holdout"):
    """Prompt and main text of the one question about a user."""
    config = PLAIN.changed(**{
        "seed": seed,
        "corpus": {"order": order, "max_items": max_items},
        "finetune": {"target": target},
    })
    known = Interactions.from_lists([history], NUM_ITEMS)
    rows = together([-1 if user is None else user], known, config)
    assert rows.offsets.tolist() == [0, len(rows.tokens)]
    return rows.tokens[: rows.main_starts[0]], rows.tokens[rows.main_starts[0] :]


def test_a_held_out_question_asks_for_the_user_with_the_whole_history():
    prompt, main = predicted(2, [4, 7, 1], order="time")
    expected = PROMPTS.recommendation.fill(
        user=entity(SPACE.user(2)), items=SPACE.item(np.array([4, 7, 1], np.int32))
    )
    assert prompt.tolist() == expected.tolist()
    assert len(main) == 0


def test_a_question_without_a_user_is_anonymous_in_both_places():
    prompt, _ = predicted(None, [4, 7, 1])
    assert np.flatnonzero(prompt == ANONYMOUS).tolist() == [0, len(prompt) - len(END) + 1]


@given(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=20), st.integers(1, 25), st.randoms())
def test_in_random_order_a_question_depends_on_the_set_of_items_alone(items, max_items, random):
    again = items + items[:3]
    random.shuffle(again)
    prompt, _ = predicted(None, items, max_items=max_items)
    assert prompt.tolist() == predicted(None, again, max_items=max_items)[0].tolist()
    found = items_in(prompt)
    assert len(found) == len(set(found)) == min(len(set(items)), max_items)
    assert set(found) <= set(items)
    assert prompt[-len(END) :].tolist() == END.tolist()


def test_in_random_order_items_are_permuted_and_the_seed_decides_how():
    items = list(range(20))
    orders = [items_in(predicted(0, items, seed=seed)[0]) for seed in range(3)]
    assert items not in orders
    assert len({tuple(order) for order in orders}) == 3


def test_in_time_order_the_newest_are_kept_in_order():
    assert items_in(predicted(0, [5, 3, 9, 1], order="time", max_items=3)[0]) == [3, 9, 1]


@pytest.mark.parametrize("order", ["random", "time"])
def test_a_question_from_nothing_is_still_the_question(order):
    assert predicted(None, [], order=order)[0].tolist() == QUESTION.tolist()


@pytest.mark.parametrize("target", TASKS)
def test_an_item_that_does_not_exist_is_refused(target):
    config = PLAIN.changed(**{"corpus": {"order": "time"}, "finetune": {"target": target}})
    smaller = TokenSpace(NUM_WORDS, NUM_USERS, NUM_ITEMS - 1)
    with pytest.raises(ValueError, match="item number 29"):
        together([0], Interactions.from_lists([[29]], NUM_ITEMS), config, smaller)


next_histories = st.lists(st.integers(0, NUM_ITEMS - 1), unique=True, max_size=9)


@given(next_histories, st.integers(1, 5), st.none() | st.just(2))
def test_what_is_asked_of_a_next_item_model_is_the_history_it_was_trained_on(items, most, user):
    prompt, main = predicted(user, items, order="time", max_items=most, target="next")
    # The end of training: the last thing a training document predicts is what follows this.
    interactions = Interactions.from_lists([[], [], items], NUM_ITEMS)
    config = PLAIN.changed(**{
        "corpus": {"order": "time", "max_items": most},
        "finetune": {"target": "next", "user_token_dropout": float(user is None)},
    })
    token = NOBODY if user is None else SPACE.user(user)
    assert prompt.tolist() == PROMPTS.history.fill(user=entity(token)).tolist()
    assert SPACE.item_number(main).tolist() == items[-most:]
    corpus = task_of(config).corpus(interactions)
    assert isinstance(corpus, CollaborativeCorpus)
    if items:
        trained = corpus.document(0, 0)
        assert trained.prompt.tolist() == prompt.tolist()
        assert trained.main.tolist() == main.tolist()
