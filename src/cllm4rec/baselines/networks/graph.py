"""LightGCN on torch_geometric's network: the graph, its training, and scores of any history."""

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import LightGCN

from cllm4rec.baselines.networks.losses import Table, next_item_loss
from cllm4rec.data.interactions import Interactions
from cllm4rec.seeds import generator

Loss = Literal["bpr", "sampled"]

BATCH_PAIRS = 4096
"""Pairs of one optimiser step, which passes over the whole graph."""
DECAY = 1e-4
"""Of the embeddings of a step's users and items, as in the authors' code."""
NEGATIVES = 512
"""Of a step with the loss ``sampled``."""


class GraphNetwork(nn.Module):
    """Embeddings of users and items, and their means over the layers of a bipartite graph.

    Args:
        train: the graph's edges.
        dim: width.
        layers: number of propagations.
    """

    def __init__(self, train: Interactions, *, dim: int, layers: int) -> None:
        super().__init__()
        self.num_users = train.num_users
        # Its three arrays, as torch cannot copy a sparse tensor with the network.
        graph = normalised_graph(train)
        self.register_buffer("starts", graph.crow_indices())
        self.register_buffer("columns", graph.col_indices())
        self.register_buffer("values", graph.values())
        self.gcn = LightGCN(len(graph), dim, layers, normalize=False)

    @property
    def edges(self) -> Float[Tensor, "nodes nodes"]:
        """The graph, sparse."""
        starts, columns, values = (self.get_buffer(x) for x in ("starts", "columns", "values"))
        size = (self.gcn.num_nodes, self.gcn.num_nodes)
        return torch.sparse_csr_tensor(starts, columns, values, size, check_invariants=False)

    def forward(self) -> tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]:
        """Final vectors of users and items."""
        vectors: Tensor = self.gcn.get_embedding(self.edges)
        return vectors[: self.num_users], vectors[self.num_users :]

    def item_layers(self) -> list[Float[Tensor, "items dim"]]:
        """Item vectors before the first propagation, after it, and so on."""
        vectors = [self.gcn.embedding.weight]
        for layer in self.gcn.convs:
            vectors.append(layer(vectors[-1], self.edges))
        return [each[self.num_users :] for each in vectors]


def normalised_graph(train: Interactions) -> Float[Tensor, "nodes nodes"]:
    """Sparse ``D^-½ A D^-½`` of users, then items; an edge for each interaction, both ways."""
    users = torch.from_numpy(train.users().astype(np.int64))
    items = torch.from_numpy(train.items.astype(np.int64)) + train.num_users
    counts = np.concatenate([train.counts(), train.item_counts()])
    roots = torch.from_numpy(np.maximum(counts, 1).astype(np.float32)).rsqrt()
    places = torch.stack([torch.cat([users, items]), torch.cat([items, users])])
    size = (len(counts), len(counts))
    values = roots[places[0]] * roots[places[1]]
    graph = torch.sparse_coo_tensor(places, values, size, check_invariants=False)
    with warnings.catch_warnings():
        # Torch calls the layout a beta; it is five times faster than torch_geometric's edges.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return graph.coalesce().to_sparse_csr()


def training_epoch(
    network: GraphNetwork, train: Interactions, *, seed: int, learning_rate: float, loss: Loss
) -> Callable[[int], float]:
    """A function that passes once over all pairs in random order and returns the mean loss.

    Args:
        network: trained by Adam.
        train: the graph's edges.
        seed: of batches and negatives.
        learning_rate: of Adam.
        loss: ``bpr``, one negative a pair (the paper); ``sampled``, a softmax over 512 of a step.
    """
    users, items = (torch.from_numpy(x.astype(np.int64)) for x in (train.users(), train.items))
    pairs = np.sort(train.users().astype(np.int64) * train.num_items + train.items)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def epoch(number: int) -> float:
        rng, total = generator(seed, "batches", number), 0.0
        order = rng.permutation(len(train))
        for start in range(0, len(order), BATCH_PAIRS):
            batch = torch.from_numpy(order[start : start + BATCH_PAIRS])
            of_users, of_items = network()
            user, item = users[batch], items[batch]
            asked, others = of_users[user], negatives_of(user, pairs, train.num_items, rng)
            if loss == "bpr":
                wanted, unwanted = ((asked * of_items[x]).sum(dim=1) for x in (item, others))
                mean = -functional.logsigmoid(wanted - unwanted).mean()
            else:
                shared = others[:NEGATIVES]
                mean = next_item_loss("sampled", asked, Table(of_items), item, shared)
            nodes = torch.cat([user, network.num_users + torch.cat([item, others])])
            decayed = network.gcn.embedding(nodes).square().sum() / len(batch)
            optimizer.zero_grad(set_to_none=True)
            (mean + DECAY * decayed).backward()
            optimizer.step()
            total += mean.item() * len(batch)
        return total / max(1, len(train))

    return epoch


def negatives_of(
    users: Int[Tensor, " n"], pairs: NDArray[np.int64], num_items: int, rng: np.random.Generator
) -> Int[Tensor, " n"]:
    """A uniform item for each user that is not theirs; after a hundred tries it may be.

    Args:
        users: numbers.
        pairs: ``user · num_items + item`` of all interactions, ascending.
        num_items: size of the catalogue.
        rng: draws.
    """
    drawn = rng.integers(num_items, size=len(users))
    for _ in range(100):
        codes = users.numpy() * num_items + drawn
        places = np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)
        taken = np.flatnonzero(pairs[places] == codes)
        if not len(taken):
            break
        drawn[taken] = rng.integers(num_items, size=len(taken))
    return torch.from_numpy(drawn)


class GraphScorer:
    """Scores of a history as a user's edges, which may be other ones than in training.

    A user's own embedding counts if there was an edge to train it by. For a history as in training
    the scores are the network's own.

    Args:
        network: trained, and not trained on.
        train: what it was trained on.
    """

    @torch.no_grad()
    def __init__(self, network: GraphNetwork, train: Interactions) -> None:
        layers = network.item_layers()
        known = torch.from_numpy(train.counts() > 0)[:, None]
        counts = np.maximum(train.item_counts(), 1).astype(np.float32)
        share = 1 / len(layers)
        self.own = (share * network.gcn.embedding.weight[: train.num_users] * known).numpy()
        self.through = (share * sum(layers[:-1], torch.zeros(()))).numpy()
        self.through /= np.sqrt(counts)[:, None]
        self.items = network()[1].numpy()
        self.popularity = np.log1p(train.item_counts()).astype(np.float32)

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; popularity for an empty history."""
        lengths = np.sqrt(np.maximum(history.counts(), 1)).astype(np.float32)
        edges = (history.matrix() @ self.through) / lengths[:, None]
        scores: NDArray[np.float32] = (self.own[users] + edges) @ self.items.T
        scores[history.counts() == 0] = self.popularity
        return scores
