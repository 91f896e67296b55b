import pytest
import torch

from cllm4rec.documents.collaborative import history_document
from cllm4rec.models.randomness import seeded
from cllm4rec.tasks.language import items_likelihood
from cllm4rec.tokens.batch import Batch, collate
from cllm4rec.tokens.space import NOBODY
from support import tiny_models as tiny


def batch() -> Batch:
    rows = tiny.interactions()
    return collate([
        history_document(NOBODY, rows.of(user), tiny.SPACE, tiny.prompts())
        for user in range(rows.num_users)
    ])


def losses_and_logits(dropout: float, *, training: bool, seed: int = 0) -> tuple:
    model = tiny.collaborative_llm(dropout=dropout).train(training)
    likelihood = items_likelihood(model, tiny.ALL_ITEMS)
    with torch.no_grad(), seeded(seed):
        logits = model.logits(model.last_queries(batch()))
        return float(likelihood(batch()).total), logits.tolist()


def test_nothing_is_dropped_outside_training():
    assert losses_and_logits(0.5, training=False) == losses_and_logits(0.0, training=False)


def test_without_dropout_training_mode_changes_nothing():
    assert losses_and_logits(0.0, training=True) == losses_and_logits(0.0, training=False)


def test_what_is_dropped_in_training_is_a_function_of_the_seed():
    first = losses_and_logits(0.5, training=True)
    for found, other in zip(first, losses_and_logits(0.0, training=True), strict=True):
        assert found != other
    assert losses_and_logits(0.5, training=True) == first
    for found, other in zip(first, losses_and_logits(0.5, training=True, seed=1), strict=True):
        assert found != other


def test_numbers_of_items_alone_are_dropped_and_the_rest_made_up_for():
    model, given = tiny.collaborative_llm(dropout=0.25), batch()
    with torch.no_grad(), seeded(0):
        dropped = model.train().embedded(given)
        whole = model.eval().embedded(given)
    is_item = tiny.SPACE.is_item(given.tokens)
    assert torch.equal(dropped[~is_item], whole[~is_item])
    gone = dropped[is_item] == 0
    torch.testing.assert_close(dropped[is_item][~gone], whole[is_item][~gone] / 0.75)
    # 24 items of 32 numbers: the share has a standard deviation of 1.6 %.
    assert float(gone.float().mean()) == pytest.approx(0.25, abs=0.08)


def test_the_query_is_dropped_too():
    model = tiny.collaborative_llm(dropout=0.5).train()
    with torch.no_grad(), seeded(0):
        for queries in (model.queries(batch()), model.last_queries(batch())):
            assert 0.3 < float((queries == 0).float().mean()) < 0.7
