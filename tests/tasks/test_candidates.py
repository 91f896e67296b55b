"""The items of the training softmax: all, those of training, or a sample."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.models.losses import LinearCrossEntropy, item_likelihood, sampled_item_likelihood
from cllm4rec.models.randomness import seeded
from cllm4rec.tasks.candidates import Candidates, inclusion_probabilities
from reference import losses as reference
from support import tiny_models as tiny

ITEMS = 7
CPU = torch.device("cpu")
holdouts = st.lists(
    st.lists(st.integers(0, ITEMS - 1), max_size=4, unique=True), min_size=1, max_size=5
)
probabilities = st.lists(st.floats(0.05, 1.0), min_size=ITEMS, max_size=ITEMS)


def values(num_rows: int) -> list[torch.Tensor]:
    """Queries, item vectors and their bias."""
    draw = torch.Generator().manual_seed(num_rows)
    shapes = ((num_rows, 4), (ITEMS, 4), (ITEMS,))
    return [torch.randn(*shape, generator=draw) for shape in shapes]


def flat(held_out: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [row for row, held in enumerate(held_out) for _ in held]
    return torch.tensor(rows).long(), torch.tensor([i for held in held_out for i in held]).long()


def drawn(probability: torch.Tensor, seed: int) -> dict[int, float]:
    """What `sampled_item_likelihood` draws under that seed."""
    with seeded(seed):
        taken = (torch.rand_like(probability) < probability).nonzero().flatten().tolist()
    return {item: float(probability[item]) for item in taken}


@given(holdouts, probabilities, st.integers(0, 9), st.sampled_from([1, 14, 10**6]))
def test_a_sample_equals_the_slow_version_in_value_and_gradient(held_out, given_p, seed, block):
    probability = torch.tensor(given_p)
    (queries, vectors, bias), theirs = (
        [value.requires_grad_() for value in values(len(held_out))] for _ in range(2)
    )
    with pytest.MonkeyPatch.context() as patch, seeded(seed):
        patch.setattr(LinearCrossEntropy, "BLOCK_LOGITS", block)
        loss = sampled_item_likelihood(
            lambda numbers: F.embedding(numbers, vectors),
            queries,
            bias,
            *flat(held_out),
            probability,
        )
        loss.total.backward()
    taken = drawn(probability, seed)
    logits = theirs[0] @ theirs[1].T + theirs[2]
    wanted = reference.sampled_nll(logits, held_out, taken)
    assert loss.total.item() == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert loss.count == sum(map(len, held_out))
    total = 0 * logits.sum()
    for scores, held in zip(logits, held_out, strict=True):
        others = [i for i in taken if i not in held]
        corrected = scores[others] - torch.tensor([taken[i] for i in others]).log()
        z = torch.cat([scores[held], corrected])
        for item in held:
            total = total + z.logsumexp(0) - scores[item]
    total.backward()
    for ours, expected in zip((queries, vectors, bias), theirs, strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-4, atol=1e-5)


@given(holdouts)
def test_where_every_item_is_drawn_the_loss_is_the_exact_one(held_out):
    queries, vectors, bias = values(len(held_out))
    every = torch.ones(ITEMS)
    sampled = sampled_item_likelihood(
        vectors.__getitem__, queries, bias, *flat(held_out), every
    ).total
    exact = item_likelihood(queries, vectors, bias, *flat(held_out)).total
    torch.testing.assert_close(sampled, exact)


def test_the_denominator_has_the_exact_ones_mean():
    queries, vectors, bias = values(1)
    logits = queries @ vectors.T + bias
    probability = torch.linspace(0.2, 0.8, ITEMS)
    rows, targets = flat([[2]])
    found = []
    for seed in range(500):
        with seeded(seed):
            loss = sampled_item_likelihood(
                vectors.__getitem__, queries, bias, rows, targets, probability
            ).total
        found.append(float((loss + logits[0, 2]).exp()))
    exact = float(logits.logsumexp(1).exp())
    assert np.mean(found) == pytest.approx(exact, abs=4 * np.std(found) / len(found) ** 0.5)
    assert np.std(found) > 0.1 * exact


def test_what_is_left_out_is_never_drawn_nor_learned_against():
    histories = Interactions.from_lists([[0, 1, 2], [1, 2, 3], [3, 4]], tiny.NUM_ITEMS)
    config = SETS.changed(model={"softmax_items": 3}).model
    candidates = Candidates.of(config, histories, CPU)
    counts = histories.item_counts()
    assert candidates.probability is not None
    assert (candidates.probability[counts == 0] == 0).all()
    assert (candidates.probability[counts > 0] > 0).all()
    assert float(candidates.probability.sum()) == pytest.approx(3)
    model = tiny.collaborative_llm()
    queries = torch.randn(1, model.embedding.size)
    one = torch.zeros(1, dtype=torch.long)
    for seed in range(20):
        with seeded(seed):
            candidates.likelihood(model, queries, one, one).total.backward()
    gradient = model.head.bias.grad
    assert not gradient[torch.from_numpy(counts == 0)].any()
    assert (gradient[torch.from_numpy(counts > 0)] != 0).all()


def test_an_item_is_drawn_by_the_root_of_its_interactions():
    histories = Interactions.from_lists([[0, item] for item in range(1, 5)], 5)
    model = SETS.changed(model={"softmax_items": 2}).model
    probability = Candidates.of(model, histories, CPU).probability
    assert probability is not None
    assert probability.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("asked", [0, 5, 100])
def test_as_many_candidates_as_there_are_and_0_mean_all(asked):
    histories = Interactions.from_lists([[0, 1, 2], [1, 2, 3], [3, 4]], 9)
    model = SETS.changed(model={"softmax_items": asked}).model
    assert Candidates.of(model, histories, CPU).probability is None


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30), st.data())
def test_probabilities_sum_to_what_is_asked_and_follow_the_weights(weights, data):
    expected = data.draw(st.integers(1, len(weights) - 1))
    found = inclusion_probabilities(np.array([*weights, 0.0]), expected)
    assert found.sum() == pytest.approx(expected)
    assert found[-1] == 0
    assert ((found > 0) & (found <= 1 + 1e-12))[:-1].all()
    free = found[:-1] < 1
    ratio = found[:-1][free] / np.array(weights)[free]
    assert np.allclose(ratio, ratio[:1])
    if free.any() and not free.all():
        assert np.array(weights)[~free].min() >= np.array(weights)[free].max()
