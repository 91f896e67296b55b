import pytest
import torch

from cllm4rec.models.randomness import seeded
from cllm4rec.tasks.language import LanguageObjective, words_likelihood
from cllm4rec.tokens.batch import collate
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.optim import adam
from reference import losses as reference
from support import tiny_models as tiny
from support.tiny_objectives import both_llms

TABLE_ROWS = {"user 0": 0, "user 1": 1, "item 2": 6 + 2, "item 4": 6 + 4}
"""Rows of `tiny.table`: six users, then the items."""


def train(objectives: dict[str, LanguageObjective], names: list[str], epochs: int = 3) -> None:
    optimizers = {
        name: adam(objectives[name].parameters(), learning_rate=1e-2, head_scale=0.1)
        for name in names
    }
    for epoch in range(epochs):
        for name in names:
            objective = objectives[name]
            size = len(objective.corpus)
            for step in objective.steps(Pass(name, epoch * size, size)):
                optimiser_step(objective, optimizers[name], step)


def distance(objectives: dict[str, LanguageObjective]) -> float:
    both = (tiny.table(objectives[name].model.embedding) for name in ("collaborative", "content"))
    return float(torch.dist(*both))


def test_weight_zero_is_two_independent_llms():
    together, alone = both_llms(0.0), both_llms(0.0)
    train(together, ["collaborative", "content"])
    train(alone, ["collaborative"])
    train(alone, ["content"])
    for name in together:
        ours, theirs = together[name].parameters(), alone[name].parameters()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_regulariser_pulls_the_two_tables_together():
    before = distance(both_llms(0.0))
    apart, together = both_llms(0.0), both_llms(1.0)
    train(apart, ["collaborative", "content"], epochs=20)
    train(together, ["collaborative", "content"], epochs=20)
    assert distance(together) < 0.8 * before
    assert distance(together) < 0.8 * distance(apart)


def test_validation_in_between_does_not_switch_dropout_off():
    objective = both_llms(0.0)["collaborative"]
    objective.model.dropout = 0.5
    [batch] = objective.batches(objective.steps(Pass("collaborative", 0, 6))[0])

    def likelihood() -> float:
        with torch.no_grad(), seeded(0):
            return float(objective.losses(batch)["likelihood"].total)

    first = likelihood()
    objective.model.eval()
    assert likelihood() == first
    objective.model.dropout = 0.0
    assert likelihood() != first


def test_counts_are_known_before_the_losses_and_agree_with_them():
    for objective in both_llms(1.0).values():
        step = objective.steps(Pass("collaborative", 0, len(objective.corpus)))[0]
        for batch in objective.batches(step):
            losses = objective.losses(batch)
            assert objective.counts(batch) == {n: loss.count for n, loss in losses.items()}


def test_the_weight_means_the_same_whatever_the_batch():
    """A mean over occurrences, not a sum over a padded batch (the authors' mistake)."""
    objective = both_llms(1.0)["content"]
    documents = [objective.corpus.document(i, 0) for i in range(3)]
    once, twice = collate(documents), collate([*documents, *documents])
    small, large = (objective.losses(batch)["mutual"] for batch in (once, twice))
    mean = float(small.total.detach()) / small.count
    assert float(large.total.detach()) / large.count == pytest.approx(mean, rel=1e-5)
    by_hand = reference.half_squared_distance(
        tiny.table(objective.model.embedding),
        tiny.table(objective.mutual.other),
        [TABLE_ROWS[name] for name in ("item 2", "user 1", "item 4", "user 0")],
    )
    assert float(small.total.detach()) == pytest.approx(by_hand, rel=1e-4)


def test_the_words_loss_equals_the_slow_version():
    model = tiny.content_llm(tiny.TextCorpus.vocabulary())
    documents = tiny.TextCorpus().documents
    with torch.no_grad():
        loss = words_likelihood(model)(collate(documents))
        expected = 0.0
        for document in documents:
            tokens = torch.tensor([[*document.prompt.tolist(), *document.main.tolist()]])
            states = model.backbone(model.embedding(tokens))[0, len(document.prompt) - 1 : -1]
            queries = states @ model.head.projection.weight.T
            words = model.embedding.words[tiny.TextCorpus.vocabulary()]
            targets = torch.tensor([[5, 6, 7, 8, 9].index(word) for word in document.main])
            expected += reference.linear_cross_entropy(queries, words, torch.zeros(5), targets)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == 9


@pytest.mark.parametrize("name", ["collaborative", "content"])
def test_products_are_in_the_models_compute_dtype(name):
    objective = both_llms(0.0)[name]
    batch = objective.batches(objective.steps(Pass(name, 0, 3))[0])[0]
    with torch.no_grad():
        exact = float(objective.losses(batch)["likelihood"].total)
        objective.model.dtype = torch.bfloat16
        rounded = float(objective.losses(batch)["likelihood"].total)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=1e-2)
