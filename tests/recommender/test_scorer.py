"""Whose token a question reads: of users whose token was trained, and of nobody else."""

import numpy as np
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.prompts import Prompts
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.tasks import TASKS
from support import tiny_models as tiny
from support.tiny_backbone import tiny_tokenizer
from support.toy_run import PLAIN

TRAINED = np.array([True, False, True, True, True, True])


def tokens_read(users: list[int], user_token_dropout: float, target: str) -> list[set[int]]:
    """User tokens and placeholders in each user's question."""
    config = PLAIN.changed(
        corpus={"order": "time"},
        finetune={"target": target, "user_token_dropout": user_token_dropout},
    )
    task = TASKS[target](config, tiny.SPACE, Prompts.build(tiny_tokenizer()))
    scorer = ModelScorer(model=tiny.collaborative_llm(), task=task, trained_users=TRAINED)
    history = Interactions.from_lists([[0, 1]] * len(users), tiny.SPACE.num_items)
    read: list[set[int]] = [set() for _ in users]
    for rows, batch in scorer.batches(np.array(users, np.int32), history):
        for row, tokens in zip(rows, batch.tokens.tolist(), strict=True):
            read[row] = {t for t in tokens if t < 0 or tiny.SPACE.is_user(t)}
    return read


@pytest.mark.parametrize("target", ["holdout", "next"])
def test_a_user_whose_token_was_not_trained_is_a_placeholder(target):
    nobody, user = {TASKS[target].placeholder}, tiny.SPACE.user
    assert tokens_read([0, 1, 2, -1], 0.5, target) == [{user(0)}, nobody, {user(2)}, nobody]


@pytest.mark.parametrize("target", ["holdout", "next"])
def test_where_no_user_token_is_trained_none_is_read(target):
    assert tokens_read([0, 1, 2, -1], 1.0, target) == [{TASKS[target].placeholder}] * 4
