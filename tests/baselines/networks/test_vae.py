import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from cllm4rec.baselines.networks import vae
from cllm4rec.baselines.networks.vae import MultVaeNetwork, MultVaeScorer, histories, training_epoch
from cllm4rec.data.interactions import Interactions

ROWS = Interactions.from_lists([[0, 2, 3, 4], [1], []], num_items=5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MultVaeNetwork(5, hidden=6, latent=2).eval()


def test_the_encoder_reads_the_history_divided_by_its_length(network):
    dense = torch.tensor([[0.5, 0, 0.5, 0.5, 0.5], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    hidden = torch.tanh(dense @ network.items.weight + network.hidden_bias)
    mean, log_variance = network.encode(*histories(ROWS))
    torch.testing.assert_close(torch.cat([mean, log_variance], dim=1), network.code(hidden))


def test_the_loss_is_the_evidence_lower_bound(network):
    mean, log_variance = network.encode(*histories(ROWS))
    shares = network.decode(mean).softmax(dim=1)
    likelihood = shares[0, [0, 2, 3, 4]].log().sum() + shares[1, 1].log()
    prior = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(network.loss(*histories(ROWS), 0.3), (0.3 * prior - likelihood) / 3)


def test_items_are_dropped_and_codes_drawn_in_training_only(network):
    assert torch.equal(network.loss(*histories(ROWS), 1.0), network.loss(*histories(ROWS), 1.0))
    network.train()
    assert not torch.equal(network.loss(*histories(ROWS), 1.0), network.loss(*histories(ROWS), 1.0))


def test_the_order_of_a_history_plays_no_part(network):
    scorer, users = MultVaeScorer(network), np.zeros(1, np.int32)
    first, second = (
        scorer.score(users, Interactions.from_lists([row], 5)) for row in ([0, 2, 3], [3, 0, 2])
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_weight_of_the_divergence_rises_to_beta(network, monkeypatch):
    monkeypatch.setattr(vae, "ANNEALING_EPOCHS", 2)
    monkeypatch.setattr(vae, "BATCH_USERS", 1)
    weights = []
    loss = network.loss
    monkeypatch.setattr(network, "loss", lambda *args: weights.append(args[2]) or loss(*args))
    epoch = training_epoch(network, ROWS, beta=0.4, seed=0)
    for number in range(3):
        epoch(number)
    assert weights == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4])
