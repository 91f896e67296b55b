import torch

from cllm4rec.models.prior import FactorPrior, prior_from

VECTORS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
BIAS = torch.tensor([0.0, 0.5, 0.0])


def test_the_mean_of_the_history_times_every_item():
    prior = FactorPrior(VECTORS, BIAS, 3.0)
    # Row 0 knows items 0 and 1: mean (0.5, 1). Row 1 knows nothing. Row 2 knows item 2.
    logits = prior(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), 3)
    assert logits.tolist() == [[1.5, 7.5, 4.5], [0.0, 1.5, 0.0], [3.0, 7.5, 6.0]]


def test_nothing_in_it_is_trained_and_it_comes_back_from_its_tensors():
    prior = FactorPrior(VECTORS, BIAS, 3.0)
    assert not list(prior.parameters())
    again = prior_from(prior.state_dict())
    rows, items = torch.tensor([0]), torch.tensor([1])
    assert torch.equal(prior(rows, items, 1), again(rows, items, 1))
