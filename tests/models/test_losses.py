import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.models.losses import (
    LinearCrossEntropy,
    cooccurrence_likelihood,
    item_likelihood,
    mutual_regularisation,
    next_token_likelihood,
)
from reference import losses as reference


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_token_likelihood_equals_the_slow_version(scored, vocabulary, size, seed):
    rng = np.random.default_rng(seed)
    hidden, weight, bias = (
        random(scored, size),
        random(vocabulary, size, seed=1),
        random(vocabulary),
    )
    targets = torch.from_numpy(rng.integers(0, vocabulary, scored))
    loss = next_token_likelihood(hidden, weight, bias, targets)
    expected = reference.linear_cross_entropy(hidden, weight, bias, targets)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == scored


def test_two_equal_logits_cost_log_two():
    loss = next_token_likelihood(
        torch.ones(1, 3), torch.ones(2, 3), torch.zeros(2), torch.tensor([1])
    )
    assert float(loss.total) == pytest.approx(np.log(2))


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_gradients_equal_torchs_in_any_block_size(block, monkeypatch):
    monkeypatch.setattr(LinearCrossEntropy, "BLOCK_LOGITS", block)
    targets = torch.tensor([0, 3, 3, 1, 2])
    values = [random(5, 4), random(6, 4, seed=1), random(6, seed=2)]
    ours, theirs = ([v.clone().requires_grad_() for v in values] for _ in range(2))
    (3 * next_token_likelihood(*ours, targets).total).backward()
    hidden, weight, bias = theirs
    (3 * F.cross_entropy(hidden @ weight.T + bias, targets, reduction="sum")).backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


def test_bfloat16_stays_within_a_percent():
    hidden, weight, bias = random(64, 32), random(100, 32, seed=1), torch.zeros(100)
    targets = torch.arange(64)
    exact = next_token_likelihood(hidden, weight, bias, targets).total
    fast = next_token_likelihood(hidden, weight, bias, targets, dtype=torch.bfloat16).total
    assert float(fast) == pytest.approx(float(exact), rel=1e-2)


def test_only_products_are_in_the_compute_dtype():
    """Softmax and sums stay float32: with queries of zero the loss is that of the bias alone."""
    bias = random(50)
    loss = next_token_likelihood(
        torch.zeros(3, 4), random(50, 4), bias, torch.tensor([1, 7, 7]), dtype=torch.bfloat16
    )
    expected = -torch.log_softmax(bias, dim=0)[[1, 7, 7]].sum()
    assert float(loss.total) == pytest.approx(float(expected), rel=1e-6)


def test_frozen_weights_get_no_gradient():
    hidden = random(3, 4).requires_grad_()
    weight = random(5, 4)
    next_token_likelihood(hidden, weight, torch.zeros(5), torch.tensor([0, 1, 2])).total.backward()
    assert hidden.grad is not None
    assert weight.grad is None


def flat(held_out: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and item of every target."""
    rows = [row for row, held in enumerate(held_out) for _ in held]
    items = [item for held in held_out for item in held]
    return torch.tensor(rows, dtype=torch.long), torch.tensor(items, dtype=torch.long)


def values(num_rows: int, size: int = 4) -> list[torch.Tensor]:
    """Queries, seven candidates and their bias."""
    return [random(num_rows, size), random(7, size, seed=1), random(7, seed=2)]


holdouts = st.lists(st.lists(st.integers(0, 6), max_size=4, unique=True), min_size=1, max_size=5)
blocks = st.sampled_from([1, 14, 21, 10**6])


@given(holdouts, blocks, st.sets(st.integers(0, 6), max_size=3))
def test_several_targets_of_a_row_equal_the_slow_multi_hot_version(held_out, block, left_out):
    held_out = [[item for item in held if item not in left_out] for held in held_out]
    queries, candidates, bias = values(len(held_out))
    logits = queries @ candidates.T + bias
    bias[list(left_out)] = -torch.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinearCrossEntropy, "BLOCK_LOGITS", block)
        loss = item_likelihood(queries, candidates, bias, *flat(held_out))
    expected = reference.holdout_nll(logits, held_out, frozenset(left_out))
    assert float(loss.total) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert loss.count == sum(map(len, held_out))


@given(holdouts, blocks)
def test_several_targets_of_a_row_have_torchs_gradients(held_out, block):
    rows, items = flat(held_out)
    ours, theirs = ([value.requires_grad_() for value in values(len(held_out))] for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinearCrossEntropy, "BLOCK_LOGITS", block)
        (3 * item_likelihood(*ours, rows, items).total).backward()
    queries, candidates, bias = theirs
    log_p = F.log_softmax(queries @ candidates.T + bias, dim=1)
    (-3 * log_p[rows, items].sum()).backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


def test_what_is_left_out_is_not_learned_against():
    queries, candidates, bias = (value.requires_grad_() for value in values(2))
    left_out = torch.zeros(7)
    left_out[3] = -torch.inf
    targets = torch.tensor([0, 0, 1]), torch.tensor([2, 5, 6])
    item_likelihood(queries, candidates, bias + left_out, *targets).total.backward()
    assert bias.grad[3] == 0
    assert not candidates.grad[3].any()
    assert queries.grad.isfinite().all()
    assert candidates.grad[[0, 1, 2, 4, 5, 6]].any(dim=1).all()


def test_only_held_out_items_are_pulled_up():
    bias = torch.zeros(4, requires_grad=True)
    queries, candidates = torch.zeros(1, 3), torch.zeros(4, 3)
    targets = torch.tensor([0, 0]), torch.tensor([2, 0])
    item_likelihood(queries, candidates, bias, *targets).total.backward()
    assert bias.grad is not None
    assert (bias.grad < 0).tolist() == [True, False, True, False]


@given(st.lists(st.integers(0, 4), max_size=12))
def test_mutual_regularisation_counts_every_occurrence(occurrences):
    own, other = random(5, 3), random(5, 3, seed=1)
    rows = torch.tensor(occurrences, dtype=torch.long)
    loss = mutual_regularisation(own[rows], other[rows])
    expected = reference.half_squared_distance(own, other, occurrences)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert loss.count == len(occurrences)


def test_the_other_side_is_fixed():
    own, other = random(2, 3).requires_grad_(), random(2, 3, seed=1).requires_grad_()
    mutual_regularisation(own[:1], other[:1]).total.backward()
    assert other.grad is None
    assert own.grad is not None
    torch.testing.assert_close(own.grad[0], (own - other)[0].detach())
    assert own.grad[1].abs().sum() == 0


@given(st.integers(1, 5), st.integers(0, 99))
def test_cooccurrence_likelihood_equals_the_slow_version(rows, seed):
    rng = np.random.default_rng(seed)
    own = rng.choice(6, rows, replace=False)
    pairs = rng.integers(0, 3, (rows, 6)).astype(np.float32)
    pairs[np.arange(rows), own] = 0
    scores = random(rows, 6, seed=seed).requires_grad_()
    loss = cooccurrence_likelihood(scores, torch.from_numpy(own), torch.from_numpy(pairs))
    expected = reference.cooccurrence_nll(scores, own.tolist(), pairs)
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert loss.count == rows
    loss.total.backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[torch.arange(rows), torch.from_numpy(own)] == 0).all()
