import pytest
import torch
from torch.nn import functional

from cllm4rec.baselines.networks.losses import full_softmax
from cllm4rec.baselines.networks.transformer import SasRecNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = SasRecNetwork(20, dim=8, dropout=0.5, max_length=6).eval()
    # Larger weights than training begins with: attention must have something to choose.
    for parameter in network.blocks.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def test_later_items_change_nothing_before_them(network):
    first = torch.tensor([[3, 1, 4, 1, 5]])
    second = torch.tensor([[3, 1, 4, 9, 2]])
    torch.testing.assert_close(network(first)[:, :3], network(second)[:, :3])
    assert not torch.allclose(network(first)[:, 3], network(second)[:, 3])


def test_earlier_items_and_their_order_change_what_follows(network):
    said = [network(torch.tensor([row]))[0, -1] for row in ([3, 1, 4], [1, 3, 4], [2, 1, 4])]
    assert not torch.allclose(said[0], said[1], atol=1e-3)
    assert not torch.allclose(said[0], said[2], atol=1e-3)


def test_padding_changes_nothing(network):
    alone = network(torch.tensor([[3, 1]]))
    beside = network(torch.tensor([[3, 1, 0, 0, 0], [5, 6, 7, 8, 9]]))
    torch.testing.assert_close(beside[:1, :2], alone)


def test_dropout_in_training_only(network):
    items = torch.tensor([[3, 1, 4]])
    assert torch.equal(network(items), network(items))
    network.train()
    assert not torch.equal(network(items), network(items))


def test_the_full_softmax_is_the_cross_entropy_gradients_too():
    torch.manual_seed(0)
    hidden, items = torch.randn(7, 4), 3 * torch.randn(11, 4)
    targets = torch.tensor([0, 10, 3, 3, 5, 1, 0])
    found, expected = [], []
    for results, loss in ((found, full_softmax), (expected, None)):
        parts = [hidden.clone().requires_grad_(), items.clone().requires_grad_()]
        value = (
            loss(*parts, targets)
            if loss
            else functional.cross_entropy(parts[0] @ parts[1].T, targets)
        )
        (2 * value).backward()
        results += [value, *(part.grad for part in parts)]
    torch.testing.assert_close(found, expected)


def test_the_full_softmax_of_large_logits_is_finite():
    hidden, items = torch.tensor([[1000.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]])
    assert full_softmax(hidden, items, torch.tensor([1])).item() == 2000.0
