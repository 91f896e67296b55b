"""The scales of λ, and steps of documents in micro-batches, against slow versions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.models.items import ReadItems
from cllm4rec.tasks.language import LanguageObjective
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.stream import Drawn
from reference import losses as reference
from support import tiny_models as tiny
from support.examples import examples
from support.tiny_objectives import both_llms, held_out

AUTHORS = {"scale": "sum"}
DEVICE = 20


def drawn(size: int, num: int) -> list[Drawn]:
    return [Drawn(number % size, number // size) for number in range(num)]


def entity_rows(tokens: list[int]) -> list[int]:
    """Rows of `tiny.table`, one per user or item token."""
    return [token - tiny.SPACE.num_words for token in tokens if token >= tiny.SPACE.num_words]


def rows_of(objective: LanguageObjective, one: Drawn) -> list[int]:
    document = objective.corpus.document(one.index, one.epoch)
    return entity_rows([*document.prompt.tolist(), *document.main.tolist()])


def weighted(objective, step, name: str) -> float:
    """What a step minimises of one loss."""
    batches = objective.batches(step)
    count = sum(objective.counts(batch)[name] for batch in batches)
    total = sum(float(objective.losses(batch)[name].total) for batch in batches)
    return objective.weights[name] * total / count


@pytest.mark.parametrize("name", ["collaborative", "content"])
@pytest.mark.parametrize("devices", [1, 3])
def test_a_sum_is_the_authors_over_all_devices(name, devices):
    objective = both_llms(0.7, **AUTHORS)[name]
    objective.batch_documents, objective.batch_tokens = devices * DEVICE, 50
    step = drawn(len(objective.corpus), devices * DEVICE)
    documents = [rows_of(objective, one) for one in step]
    expected = reference.authors_regulariser(
        tiny.table(objective.model.embedding),
        tiny.table(objective.mutual.other),
        [documents[start : start + DEVICE] for start in range(0, len(documents), DEVICE)],
        0.7,
    )
    with torch.no_grad():
        assert weighted(objective, step, "mutual") == pytest.approx(expected, rel=1e-4)


def test_in_finetuning_the_sum_stands_beside_a_mean_over_users():
    objective = held_out(weight=0.7, **AUTHORS)
    step = objective.steps(Pass("finetune", 0, 3))[0]
    [batch] = objective.batches(step)
    held = [batch.items[batch.rows == row].tolist() for row in range(3)]
    own, other = tiny.table(objective.model.embedding), tiny.table(objective.mutual.other)
    rows = [
        entity_rows(tokens) + [tiny.SPACE.num_users + item for item in items]
        for tokens, items in zip(batch.prompts.tokens.tolist(), held, strict=True)
    ]
    # Three documents of twenty: a device's batch would have had 20 / 3 times as many.
    expected = reference.authors_regulariser(own, other, [rows], 0.7) * DEVICE / 3
    with torch.no_grad():
        logits = objective.model.logits(objective.model.last_queries(batch.prompts))
        likelihood = reference.holdout_nll(logits, held) / 3
        assert weighted(objective, step, "mutual") == pytest.approx(expected, rel=1e-4)
        assert weighted(objective, step, "likelihood") == pytest.approx(likelihood, rel=1e-4)
        batches = objective.losses(batch)
    assert objective.counts(batch) == {name: loss.count for name, loss in batches.items()}


@pytest.mark.parametrize(("scale", "factor"), [("mean", 1.0), ("sum", 2.0 * DEVICE)])
def test_the_prior_is_half_the_squares_of_z_l_at_the_same_scale(scale, factor):
    objective = both_llms(0.0, prior_weight=0.3, scale=scale)["collaborative"]
    step = drawn(len(objective.corpus), 6)
    objective.batch_documents = 6
    rows = [row for one in step for row in rows_of(objective, one)]
    count = 6 if scale == "sum" else len(rows)
    expected = reference.half_squares(tiny.table(objective.model.embedding), rows) / count
    with torch.no_grad():
        found = weighted(objective, step, "prior")
        assert "mutual" not in objective.losses(objective.batches(step)[0])
    assert found == pytest.approx(0.3 * factor * expected, rel=1e-4)


@pytest.mark.parametrize(("is_collaborative", "wanted"), [(True, 0.3), (False, 0.0)])
def test_z_l_has_the_prior_of_the_settings_and_z_c_has_none(is_collaborative, wanted):
    config = SETS.changed(model={"prior_weight": 0.3, "regulariser": "mean"}).model
    own, other = (tiny.embedding(seed) for seed in (0, 1))
    mutual = Mutual.of(config, own, other, 0.7, is_collaborative=is_collaborative)
    assert mutual.weights == {"mutual": 0.7, "prior": wanted}


def made_of_texts(weight: float, *, free: bool = False, **scale) -> LanguageObjective:
    objective = both_llms(0.0)["collaborative"]
    vectors = objective.model.embedding.items.all().detach()
    texts = torch.randn(len(vectors), 3, generator=torch.Generator().manual_seed(3))
    if not free:
        objective.model.embedding.items = ReadItems(vectors, texts, fitted=True)
    own = objective.model.embedding
    objective.mutual = Mutual(own, None, 0.0, text_prior_weight=weight, **scale)
    objective.batch_documents = 6
    return objective


@pytest.mark.parametrize(("scale", "factor"), [("mean", 1.0), ("sum", 2.0 * DEVICE)])
def test_towards_texts_it_is_half_the_squares_of_what_items_have_beyond_them(scale, factor):
    objective = made_of_texts(0.3, scale=scale)
    step = drawn(len(objective.corpus), 6)
    rows = [row for one in step for row in rows_of(objective, one)]
    items = objective.model.embedding.items
    beyond = (items.all() - items.texts @ items.map).detach()
    # A user's row has no text and no part in the loss; it counts among the tokens.
    padded = torch.cat([torch.zeros(tiny.SPACE.num_users, beyond.shape[1]), beyond])
    count = 6 if scale == "sum" else len(rows)
    expected = reference.half_squares(padded, rows) / count
    assert expected > 0
    with torch.no_grad():
        assert weighted(objective, step, "text_prior") == pytest.approx(
            0.3 * factor * expected, rel=1e-4
        )
    batch = objective.batches(step)[0]
    assert objective.counts(batch).keys() == {"likelihood", "text_prior"}
    objective.losses(batch)["text_prior"].total.backward()
    assert items.map.grad is None, "what texts make is not pulled"


def test_free_items_have_nothing_to_be_pulled_towards():
    objective = made_of_texts(0.3, free=True)
    batch = objective.batches(drawn(len(objective.corpus), 6))[0]
    assert objective.losses(batch).keys() == {"likelihood"}


def test_texts_pull_what_items_have_beyond_them_towards_zero():
    norms = []
    for weight in (0.0, 5.0):
        objective = made_of_texts(weight)
        optimizer = torch.optim.Adam(objective.parameters().values(), lr=1e-2)
        for step in objective.steps(Pass("collaborative", 0, 60)):
            optimiser_step(objective, optimizer, step)
        norms.append(float(objective.model.embedding.items.weight.detach().norm()))
    assert norms[1] < 0.9 * norms[0]


def test_a_prior_pulls_the_vectors_towards_zero():
    norms = []
    for weight in (0.0, 5.0):
        objective = both_llms(0.0, prior_weight=weight)["collaborative"]
        optimizer = torch.optim.Adam(objective.parameters().values(), lr=1e-2)
        for step in objective.steps(Pass("collaborative", 0, 60)):
            optimiser_step(objective, optimizer, step)
        norms.append(float(tiny.table(objective.model.embedding).norm()))
    assert norms[1] < 0.9 * norms[0]


def gradients(objective, step) -> dict[str, torch.Tensor]:
    parameters = objective.parameters()
    optimiser_step(objective, torch.optim.SGD(parameters.values(), lr=0.0), step)
    return {name: p.grad.clone() for name, p in parameters.items()}


@examples(25)
@given(
    st.sampled_from(["collaborative", "content", "finetune"]),
    st.integers(1, 60),
    st.integers(1, 24),
    st.sampled_from(["mean", "sum"]),
)
def test_accumulated_micro_batches_are_the_whole_step(name, batch_tokens, documents, scale):
    found = []
    for tokens in (batch_tokens, 100_000):
        given = {"prior_weight": 0.2, "scale": scale}
        if name == "finetune":
            objective = held_out(tokens, 0.7, **given)
        else:
            objective = both_llms(0.7, **(given if name == "collaborative" else {"scale": scale}))
            objective = objective[name]
            objective.batch_documents, objective.batch_tokens = documents, tokens
        step = drawn(len(objective.corpus), documents)
        assert tokens < 100_000 or len(objective.batches(step)) == 1
        found.append(gradients(objective, step))
    for parameter, whole in found[1].items():
        torch.testing.assert_close(found[0][parameter], whole, rtol=1e-3, atol=1e-5)


def test_a_step_has_as_many_documents_as_are_given_and_the_last_what_is_left():
    objective = both_llms(1.0)["collaborative"]
    objective.batch_documents, objective.batch_tokens = 4, 20
    steps = objective.steps(Pass("collaborative", 0, 10))
    assert [len(step) for step in steps] == [4, 4, 2]
    batches = objective.batches(steps[0])
    assert len(batches) > 1
    assert sum(len(batch.lengths) for batch in batches) == 4
    assert max(batch.tokens.numel() for batch in batches) <= 20


def test_the_likelihood_alone_is_the_objective_without_its_regulariser():
    objective = both_llms(1.0)["content"]
    alone = objective.likelihood_alone()
    step = objective.steps(Pass("content", 0, 3))[0]
    [batch] = objective.batches(step)
    assert alone.counts(batch).keys() == {"likelihood"}
    assert alone.parameters().keys() == objective.parameters().keys()
    assert all(alone.parameters()[n] is p for n, p in objective.parameters().items())
    with torch.no_grad():
        both = [one.losses(batch)["likelihood"].total for one in (objective, alone)]
    assert both[0] == both[1]
