import numpy as np
import pytest
import torch

from cllm4rec.baselines.networks import sequences
from cllm4rec.baselines.networks.items import FreeItems
from cllm4rec.baselines.networks.losses import full_softmax
from cllm4rec.baselines.networks.sequences import (
    SasRecScorer,
    newest,
    padded,
    pieces,
    training_epoch,
)
from cllm4rec.baselines.networks.transformer import SasRecNetwork
from cllm4rec.data.interactions import Interactions

USERS = np.arange(4, dtype=np.int32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = SasRecNetwork(FreeItems(12, 8), dim=8, layers=2, dropout=0.0, max_length=3).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def lists(interactions):
    return [interactions.of(row).tolist() for row in range(interactions.num_users)]


def test_pieces_predict_every_item_but_the_first_once():
    train = Interactions.from_lists([[], [1], [1, 2], [1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6]], 12)
    found = lists(pieces(train, 3))
    assert found == [[1, 2], [1, 2, 3, 4], [3, 4, 5, 6], [0, 1, 2, 3]]


def test_padded_on_the_right():
    assert padded(Interactions.from_lists([[5], [], [7, 8]], 12)).tolist() == [
        [5, 0],
        [0, 0],
        [7, 8],
    ]


def test_the_newest_items_of_every_row():
    rows = Interactions.from_lists([[1, 2, 3, 4, 5], [], [6], [7, 8, 9]], 12)
    assert lists(newest(rows, 3)) == [[3, 4, 5], [], [6], [7, 8, 9]]


def test_scores_are_those_of_each_history_alone(network):
    scorer = SasRecScorer(network, np.ones(12, int))
    history = Interactions.from_lists([[3, 1], [1, 2, 3, 4, 5], [2], [5, 4, 3]], 12)
    scores = scorer.score(USERS, history)
    for row, read in enumerate([[3, 1], [3, 4, 5], [2], [5, 4, 3]]):
        hidden = network(torch.tensor([read]))[:, -1]
        np.testing.assert_allclose(scores[row], network.logits(hidden)[0].detach(), atol=1e-5)


def test_an_empty_history_gets_what_is_popular(network):
    counts = np.arange(12)
    scores = SasRecScorer(network, counts).score(USERS[:2], Interactions.from_lists([[], [1]], 12))
    assert np.argsort(scores[0]).tolist() == list(range(12))
    assert np.argsort(scores[1]).tolist() != list(range(12))


def test_the_loss_is_the_mean_over_real_positions(network, monkeypatch):
    """Whatever the batches: here none of the steps changes the network."""
    train = Interactions.from_lists([[3, 1, 4], [5], [9, 2], [6, 5, 3, 8]], 12)
    expected = []
    for row in ([3, 1, 4], [9, 2], [6, 5, 3, 8]):
        for end in range(1, len(row)):
            hidden = network(torch.tensor([row[:end]]))[:, -1]
            expected.append(full_softmax(hidden, network.items.weight, torch.tensor([row[end]])))
    for most in (1, 100):
        monkeypatch.setattr(sequences, "BATCH_USERS", most)
        found = training_epoch(network, train, seed=0, learning_rate=0.0)(0)
        assert found == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["sampled", "gbce"])
def test_sampled_losses_learn_too(loss):
    """Which two of twelve items there are."""
    train = Interactions.from_lists([[3, 7, 3, 7], [7, 3, 7, 3]] * 4, 12)
    torch.manual_seed(0)
    network = SasRecNetwork(FreeItems(12, 8), dim=8, layers=2, dropout=0.0, max_length=3)
    epoch = training_epoch(network, train, seed=0, learning_rate=0.03, loss=loss)
    losses = [epoch(number) for number in range(40)]
    assert losses[-1] < losses[0] / 2
    scorer = SasRecScorer(network.eval(), np.ones(12, int))
    scores = scorer.score(USERS[:2], Interactions.from_lists([[3], [7]], 12))
    assert {frozenset(row) for row in np.argsort(scores)[:, -2:].tolist()} == {frozenset({3, 7})}
