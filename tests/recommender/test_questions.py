"""Prompts of many users at once are the prompts of each user alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import seeds
from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.recommendation import prediction_document
from cllm4rec.recommender.questions import buckets, question_rows
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import ANONYMOUS, NOBODY
from support.strategies import histories
from support.tiny_models import SPACE, prompts

CONFIGS = {
    "sets": {"corpus": {"order": "random"}},
    "capped sets": {"corpus": {"order": "random", "max_items": 3}},
    "sequences": {"corpus": {"order": "time"}, "finetune": {"target": "next"}},
    "capped sequences": {"corpus": {"order": "time", "max_items": 2}},
}


def one_by_one(users, known, config):
    return [
        prediction_document(
            None if user < 0 else int(user),
            known.of(row),
            SPACE,
            prompts(),
            config.corpus,
            seeds.derived_seed(config.seed, "prediction"),
            target=config.finetune.target,
        )
        for row, user in enumerate(users)
    ]


def together(users, known, config):
    nobody = NOBODY if config.finetune.target == "next" else ANONYMOUS
    tokens = np.where(users < 0, nobody, SPACE.user(np.maximum(users, 0))).astype(np.int32)
    return question_rows(tokens, known, SPACE, prompts(), config)


@pytest.mark.parametrize("name", CONFIGS)
@given(rows=histories(num_items=SPACE.num_items), data=st.data())
def test_every_row_is_the_document_of_its_user(name, rows, data):
    config = SETS.changed(**CONFIGS[name])
    known = Interactions.from_lists(rows, SPACE.num_items)
    user = st.integers(-1, SPACE.num_users - 1)
    users = np.array(data.draw(st.lists(user, min_size=len(rows), max_size=len(rows))))
    found, wanted = together(users, known, config), one_by_one(users, known, config)
    batch, expected = found.batch(0, len(rows)), collate(wanted)
    for name in ("tokens", "lengths", "main_starts"):
        assert getattr(batch, name).tolist() == getattr(expected, name).tolist(), name


@given(rows=histories(num_items=SPACE.num_items), data=st.data())
def test_rows_can_be_put_in_any_order(rows, data):
    config = SETS.changed(**CONFIGS["sets"])
    known = Interactions.from_lists(rows, SPACE.num_items)
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    users = np.arange(len(rows)) % SPACE.num_users
    turned = together(users, known, config).reordered(order)
    again = together(users[order], known.rows(order), config)
    assert turned.tokens.tolist() == again.tokens.tolist()
    assert turned.offsets.tolist() == again.offsets.tolist()
    assert turned.main_starts.tolist() == again.main_starts.tolist()


def test_a_repeated_item_of_a_set_is_asked_about_once():
    config = SETS.changed(**CONFIGS["sets"])
    repeated = Interactions.from_lists([[3, 1, 3], [1]], SPACE.num_items)
    once = Interactions.from_lists([[1, 3], [1]], SPACE.num_items)
    users = np.array([-1, 2])
    assert (
        together(users, repeated, config).tokens.tolist()
        == together(users, once, config).tokens.tolist()
    )


@given(lengths=st.lists(st.integers(1, 40), max_size=30), most=st.integers(1, 100))
def test_buckets_cover_all_rows_in_order_within_the_tokens(lengths, most):
    lengths = np.sort(np.array(lengths, np.int64))[::-1]
    stretches = list(buckets(lengths, most))
    assert [row for start, end in stretches for row in range(start, end)] == [*range(len(lengths))]
    for start, end in stretches:
        assert (end - start) * lengths[start] <= most or end - start == 1
