import pytest
import torch
from torch.nn import functional

from cllm4rec.baselines.networks.items import FreeItems, TextItems
from cllm4rec.baselines.networks.losses import full_softmax
from cllm4rec.baselines.networks.transformer import SasRecNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = SasRecNetwork(FreeItems(20, 8), dim=8, layers=2, dropout=0.5, max_length=6).eval()
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


def test_items_with_texts_are_an_embedding_plus_the_map_of_their_texts():
    torch.manual_seed(0)
    texts = torch.randn(20, 5)
    items = TextItems(texts.numpy(), 8)
    network = SasRecNetwork(items, dim=8, layers=1, dropout=0.0, max_length=6).eval()
    rows = []
    for item in range(20):
        said = texts[item].tolist()
        pairs = [zip(row, said, strict=True) for row in items.map.weight.tolist()]
        mapped = [sum(w * t for w, t in pair) for pair in pairs]
        free = items.weight[item].tolist()
        rows.append([w + m for w, m in zip(free, mapped, strict=True)])
    slow = torch.tensor(rows)
    torch.testing.assert_close(items.vectors(), slow)
    torch.testing.assert_close(
        items.vectors(torch.tensor([[3, 0], [3, 19]])), slow[torch.tensor([[3, 0], [3, 19]])]
    )
    plain = SasRecNetwork(FreeItems(20, 8), dim=8, layers=1, dropout=0.0, max_length=6).eval()
    state = network.state_dict()
    plain.load_state_dict(
        {k: state[k] for k in plain.state_dict() if k != "items.weight"} | {"items.weight": slow}
    )
    asked = torch.tensor([[3, 1, 4]])
    torch.testing.assert_close(network(asked), plain(asked))
    torch.testing.assert_close(
        network.logits(network(asked)[:, -1]), plain.logits(plain(asked)[:, -1])
    )
    network.logits(network(asked)[:, -1]).sum().backward()
    assert items.map.weight.grad.abs().sum() > 0
    assert items.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("layers", [1, 3])
def test_there_are_as_many_blocks_as_asked_for(layers):
    made = SasRecNetwork(FreeItems(20, 8), dim=8, layers=layers, dropout=0.0, max_length=6)
    assert len(made.blocks) == layers
