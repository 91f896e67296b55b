import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.models.losses import (
    LinearCrossEntropy,
    holdout_likelihood,
    mutual_regularisation,
    token_likelihood,
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
    loss = token_likelihood(hidden, weight, bias, targets)
    expected = reference.linear_cross_entropy(hidden, weight, bias, targets)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == scored


def test_two_equal_logits_cost_log_two():
    loss = token_likelihood(torch.ones(1, 3), torch.ones(2, 3), torch.zeros(2), torch.tensor([1]))
    assert float(loss.total) == pytest.approx(np.log(2))


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_gradients_equal_torchs_in_any_block_size(block, monkeypatch):
    monkeypatch.setattr(LinearCrossEntropy, "BLOCK_LOGITS", block)
    targets = torch.tensor([0, 3, 3, 1, 2])
    values = [random(5, 4), random(6, 4, seed=1), random(6, seed=2)]
    ours, theirs = ([v.clone().requires_grad_() for v in values] for _ in range(2))
    (3 * token_likelihood(*ours, targets).total).backward()
    hidden, weight, bias = theirs
    (3 * F.cross_entropy(hidden @ weight.T + bias, targets, reduction="sum")).backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


def test_half_precision_stays_within_a_percent():
    hidden, weight, bias = random(64, 32), random(100, 32, seed=1), torch.zeros(100)
    targets = torch.arange(64)
    exact = token_likelihood(hidden, weight, bias, targets).total
    fast = token_likelihood(hidden, weight, bias, targets, half_precision=True).total
    assert float(fast) == pytest.approx(float(exact), rel=1e-2)


def test_frozen_weights_get_no_gradient():
    hidden = random(3, 4).requires_grad_()
    weight = random(5, 4)
    token_likelihood(hidden, weight, torch.zeros(5), torch.tensor([0, 1, 2])).total.backward()
    assert hidden.grad is not None
    assert weight.grad is None


@given(
    st.lists(
        st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True), min_size=1, max_size=4
    )
)
def test_holdout_likelihood_equals_the_slow_version(holdouts):
    logits = random(len(holdouts), 7)
    rows = torch.tensor([row for row, held in enumerate(holdouts) for _ in held])
    items = torch.tensor([item for held in holdouts for item in held])
    loss = holdout_likelihood(logits, rows, items)
    assert float(loss.total) == pytest.approx(reference.holdout_nll(logits, holdouts), rel=1e-4)
    assert loss.count == len(items)


def test_only_held_out_items_are_pulled_up():
    logits = torch.zeros(1, 4, requires_grad=True)
    holdout_likelihood(logits, torch.tensor([0]), torch.tensor([2])).total.backward()
    assert logits.grad is not None
    assert (logits.grad < 0).tolist() == [[False, False, True, False]]


@given(st.lists(st.integers(0, 4), max_size=12))
def test_mutual_regularisation_counts_every_occurrence(occurrences):
    own, other = random(5, 3), random(5, 3, seed=1)
    loss = mutual_regularisation(own, other, torch.tensor(occurrences, dtype=torch.long))
    expected = reference.half_squared_distance(own, other, occurrences)
    assert float(loss.total) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert loss.count == len(occurrences)


def test_the_other_side_is_fixed():
    own, other = random(2, 3).requires_grad_(), random(2, 3, seed=1).requires_grad_()
    mutual_regularisation(own, other, torch.tensor([0])).total.backward()
    assert other.grad is None
    assert own.grad is not None
    torch.testing.assert_close(own.grad[0], (own - other)[0].detach())
    assert own.grad[1].abs().sum() == 0
