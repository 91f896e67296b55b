"""What every task has: tokens for users who are read, cold items, a standardised head."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import PAPER, SETS, Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.item_words import ItemWords
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.tasks import TASKS, HeldOut, NextItem, Task, reads_users, task_for
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tokens.batch import collate
from cllm4rec.training.loop import Pass
from reference import losses as reference
from support import tiny_models as tiny
from support.tiny_backbone import NUM_WORDS, write_tiny_gpt2
from support.toy_run import PLAIN

COLD = 3
WARM = [[item for item in row if item != COLD] for row in tiny.HISTORIES]
"""The toy histories without one item."""


def config_of(target: str, **finetune: object) -> Config:
    return PLAIN.changed(**{
        "corpus": {"order": "time" if target == "next" else "random"},
        "finetune": {"target": target, "mutual_weight": 0.0, **finetune},
    })


def task_of(target: str, **finetune: object) -> Task:
    return TASKS[target](config_of(target, **finetune), tiny.SPACE, tiny.prompts())


@pytest.fixture(scope="module")
def lm(tmp_path_factory) -> LanguageModel:
    folder = write_tiny_gpt2(tmp_path_factory.mktemp("gpt2"), layers=1)
    backbone = {"name": str(folder), "depth": None}
    return LanguageModel.load(PLAIN.changed(**{"backbone": backbone}))


@pytest.mark.parametrize(
    ("pretrain", "dropout", "read"),
    [
        (True, 0.0, True),
        (True, 1.0, True),
        (False, 0.0, True),
        (False, 0.9, True),
        (False, 1.0, False),
    ],
)
def test_users_have_tokens_where_some_document_reads_them(lm, pretrain, dropout, read):
    config = PLAIN.changed(**{
        "pretrain": {"enabled": pretrain},
        "finetune": {"user_token_dropout": dropout},
    })
    assert reads_users(config) == read
    space = task_for(config, lm, 6, 7).space
    assert (space.num_words, space.num_users, space.num_items) == (NUM_WORDS, 6 * read, 7)


@pytest.mark.parametrize(("target", "kind"), [("holdout", HeldOut), ("next", NextItem)])
def test_the_task_is_that_of_the_settings(lm, target, kind):
    task = task_for(config_of(target), lm, 6, 7)
    assert type(task) is kind
    assert task.config.finetune.target == target


def test_documents_longer_than_the_backbone_reads_are_refused(lm):
    config = PLAIN.changed(**{"corpus": {"max_items": lm.backbone.positions}})
    with pytest.raises(ConfigError, match=r"setting corpus.max_items = \d+: .* set corpus"):
        task_for(config, lm, 6, 7)


@given(st.lists(st.lists(st.integers(0, 8), unique=True), min_size=1))
def test_items_without_training_interactions_are_no_candidates(rows):
    histories, device = Interactions.from_lists(rows, 9), torch.device("cpu")
    bias = Candidates.of(SETS.model, histories, device).bias
    seen = {item for row in rows for item in row}
    assert bias.tolist() == [0.0 if item in seen else -np.inf for item in range(9)]
    assert bias.dtype == torch.float32
    assert not Candidates.of(PAPER.model, histories, device).bias.any()


def first_batch(target: str, model):
    histories = Interactions.from_lists(WARM, tiny.NUM_ITEMS)
    objective = task_of(target).objective(model, histories, None)
    [batch] = objective.batches(objective.steps(Pass("finetune", 0, len(objective.corpus)))[0])
    return objective, batch


@pytest.mark.parametrize("target", TASKS)
def test_cold_items_are_scored_but_never_learned_against(target):
    model = tiny.collaborative_llm()
    objective, batch = first_batch(target, model)
    total = objective.losses(batch)["likelihood"].total
    total.backward()
    assert total.isfinite()
    assert model.head.bias.grad[COLD] == 0
    assert not model.embedding.items.weight.grad[COLD].any()
    warm = [item for item in range(tiny.NUM_ITEMS) if item != COLD]
    assert model.head.bias.grad[warm].all()
    prompts = batch.prompts if target == "holdout" else batch
    with torch.no_grad():
        assert model.logits(model.last_queries(prompts)).isfinite().all()


def test_a_held_out_loss_with_cold_items_equals_the_slow_version():
    model = tiny.collaborative_llm()
    objective, batch = first_batch("holdout", model)
    with torch.no_grad():
        loss = objective.losses(batch)["likelihood"]
        logits = model.logits(model.last_queries(batch.prompts))
    held_out = [batch.items[batch.rows == row].tolist() for row in range(len(logits))]
    expected = reference.holdout_nll(logits, held_out, frozenset({COLD}))
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)


def test_a_next_item_loss_with_cold_items_equals_the_slow_version():
    model = tiny.collaborative_llm()
    objective, _ = first_batch("next", model)
    documents = [objective.corpus.document(index, 0) for index in range(len(objective.corpus))]
    with torch.no_grad():
        loss = objective.likelihood(collate(documents))
        expected = sum(
            reference.next_item_nll(model, document, frozenset({COLD})) for document in documents
        )
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == sum(map(len, WARM))


def test_words_behind_items_are_read_and_never_predicted():
    model = tiny.collaborative_llm()
    titles = [[1, 2], [], [3], [4, 5, 6], [7], [2]][: tiny.NUM_ITEMS]
    titles += [[5]] * (tiny.NUM_ITEMS - len(titles))
    flat = np.array([word for title in titles for word in title], np.int32)
    words = ItemWords(flat, np.cumsum([0, *map(len, titles)]), most=4)
    task = NextItem(config_of("next"), tiny.SPACE, tiny.prompts(), words)
    objective = task.objective(model, Interactions.from_lists(WARM, tiny.NUM_ITEMS), None)
    documents = [objective.corpus.document(index, 0) for index in range(len(objective.corpus))]
    mains = [tiny.SPACE.is_word(document.main) for document in documents]
    assert any(is_word.any() for is_word in mains)
    batch = collate(documents)
    with torch.no_grad():
        loss = objective.likelihood(batch)
        expected = sum(
            reference.next_item_nll(model, document, frozenset({COLD})) for document in documents
        )
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == objective.counts(batch)["likelihood"] == sum(map(len, WARM))
    assert (objective.corpus.lengths() >= [len(document) for document in documents]).all()


@pytest.mark.parametrize("target", TASKS)
def test_the_head_is_standardised_by_the_states_it_is_asked_about(target):
    model, task = tiny.collaborative_llm(dropout=0.5), task_of(target)
    states = []
    for document in task.sample(tiny.interactions()):
        tokens = torch.tensor([[*document.prompt.tolist(), *document.main.tolist()]])
        with torch.no_grad():
            hidden = model.backbone(model.embedding(tokens))[0]
        start = len(document.prompt) - 1
        states.append(hidden[-1:] if target == "holdout" else hidden[start:-1])
    wanted = torch.cat(states)
    assert len(wanted) == (5 if target == "holdout" else sum(map(len, tiny.HISTORIES)))
    task.standardise(model.train(), tiny.interactions())
    torch.testing.assert_close(model.head.mean, wanted.mean(dim=0), rtol=1e-3, atol=1e-5)
    std = wanted.std(dim=0).clamp_min(1e-3)
    torch.testing.assert_close(model.head.std, std, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("target", "rows"), [("holdout", [[1], [], [2]]), ("next", [[], []])])
def test_histories_with_nothing_to_learn_from_are_refused(target, rows):
    histories = Interactions.from_lists(rows, tiny.NUM_ITEMS)
    with pytest.raises(InputError, match="no user has enough training items to learn from"):
        task_of(target).standardise(tiny.collaborative_llm(), histories)
