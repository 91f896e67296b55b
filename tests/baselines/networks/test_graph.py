"""LightGCN: the library's network, its training and the fold-in, against loops."""

import numpy as np
import pytest
import torch

from cllm4rec.data.interactions import Interactions
from reference import light_gcn as reference

pytestmark = pytest.mark.slow  # to load torch_geometric takes three seconds

HISTORIES = [[0, 2, 3], [], [1, 2], [4], [0, 1, 4, 3]]
TRAIN = Interactions.from_lists(HISTORIES, 6)  # nobody has item 5, the second user has nothing


@pytest.fixture(scope="module")
def graph():
    pytest.importorskip("torch_geometric")
    from cllm4rec.baselines.networks import graph

    return graph


@pytest.fixture(params=[1, 3])
def network(request, graph):
    torch.manual_seed(0)
    network = graph.GraphNetwork(TRAIN, dim=4, layers=request.param)
    torch.nn.init.normal_(network.gcn.embedding.weight)
    return network


def tables(network) -> tuple[np.ndarray, np.ndarray]:
    table = network.gcn.embedding.weight.detach().numpy()
    return table[:5].copy(), table[5:].copy()


def test_vectors_are_means_over_the_layers_of_the_slow_propagation(network):
    users, items = (each.detach().numpy() for each in network())
    wanted = reference.scores(HISTORIES, *tables(network), network.gcn.num_layers)
    np.testing.assert_allclose(users @ items.T, wanted, atol=1e-5)


def test_a_history_as_in_training_has_the_networks_own_scores(graph, network):
    found = graph.GraphScorer(network, TRAIN).score(np.arange(5, dtype=np.int32), TRAIN)
    wanted = reference.scores(HISTORIES, *tables(network), network.gcn.num_layers)
    np.testing.assert_allclose(found[[0, 2, 3, 4]], wanted[[0, 2, 3, 4]], atol=1e-5)
    np.testing.assert_allclose(found[1], np.log1p(TRAIN.item_counts()), atol=1e-6)


def test_another_history_is_folded_in_by_the_items_layers(graph, network):
    layers = reference.layers(HISTORIES, *tables(network), network.gcn.num_layers)
    counts = TRAIN.item_counts()
    mean_items = sum(items for _, items in layers) / len(layers)
    for user, history in ((0, [0, 2, 3, 4]), (1, [2, 4])):
        own = layers[0][0][user] if HISTORIES[user] else 0
        edges = sum(
            items[item] / np.sqrt(len(history) * counts[item])
            for _, items in layers[:-1]
            for item in history
        )
        given = Interactions.from_lists([history], 6)
        found = graph.GraphScorer(network, TRAIN).score(np.array([user], np.int32), given)
        np.testing.assert_allclose(found[0], (own + edges) / len(layers) @ mean_items.T, atol=1e-5)


def test_a_step_lowers_the_slow_versions_loss_and_reports_it(graph, network, monkeypatch):
    drawn = []
    monkeypatch.setattr(graph, "DECAY", 1.0)  # else too small to turn a gradient
    real = graph.negatives_of
    monkeypatch.setattr(graph, "negatives_of", lambda *a: drawn.append(real(*a)) or drawn[-1])
    users, items = tables(network)
    epoch = graph.training_epoch(network, TRAIN, seed=3, learning_rate=0.05, loss="bpr")
    mean = epoch(0)
    order = graph.generator(3, "batches", 0).permutation(len(TRAIN))
    positives = zip(TRAIN.users()[order], TRAIN.items[order], strict=True)
    triples = [(*pair, int(x)) for pair, x in zip(positives, drawn[0], strict=True)]
    scores = reference.scores(HISTORIES, users, items, network.gcn.num_layers)
    assert mean == pytest.approx(reference.loss(scores, triples, users, items, 0.0), rel=1e-4)
    # Adam's first step moves every number by the rate, against its gradient's sign.
    moved = np.sign(np.concatenate([users, items]) - np.concatenate(tables(network)))
    before = np.concatenate([users, items])
    for place in ((0, 1), (2, 0), (5 + 2, 3), (5 + 4, 1)):
        losses = []
        for step in (-1e-4, 1e-4):
            table = before.astype(float)
            table[place] += step
            given = table[:5], table[5:]
            after = reference.scores(HISTORIES, *given, network.gcn.num_layers)
            losses.append(reference.loss(after, triples, *given, graph.DECAY))
        assert moved[place] == np.sign(losses[1] - losses[0])


def test_negatives_are_uniform_among_what_the_user_has_not(graph):
    rng = np.random.default_rng(0)
    pairs = np.sort(TRAIN.users().astype(np.int64) * 6 + TRAIN.items)
    found = graph.negatives_of(torch.full((9000,), 4), pairs, 6, rng).numpy()
    counts = np.bincount(found, minlength=6)
    assert counts[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]
    assert abs(counts[2] - counts[5]) < 400


@pytest.mark.parametrize("loss", ["bpr", "sampled"])
def test_training_is_repeatable_and_lowers_the_loss(graph, loss):
    rng = np.random.default_rng(0)
    rows = [(rng.permutation(5)[:3] + 5 * (user % 4)).tolist() for user in range(80)]
    train = Interactions.from_lists(rows, 20)
    runs = []
    for _ in range(2):
        torch.manual_seed(1)
        network = graph.GraphNetwork(train, dim=8, layers=2)
        epoch = graph.training_epoch(network, train, seed=3, learning_rate=0.02, loss=loss)
        runs.append([epoch(number) for number in range(60)])
    assert runs[0] == runs[1]
    assert runs[0][-1] < 0.8 * runs[0][0]
    scores = graph.GraphScorer(network, train).score(np.arange(80, dtype=np.int32), train)
    assert np.mean(scores.argmax(axis=1) // 5 == np.arange(80) % 4) > 0.95
