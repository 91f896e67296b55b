"""Histories as sequences: how SASRec is trained on them, and how it scores them."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.baselines.networks.losses import Loss, next_item_loss
from cllm4rec.baselines.networks.transformer import SasRecNetwork
from cllm4rec.data.interactions import Interactions
from cllm4rec.seeds import generator
from cllm4rec.tokens.batch import length_buckets

BATCH_USERS = 128
"""Most sequences of one optimiser step."""
BATCH_POSITIONS = 1024
"""Most positions of one optimiser step, padding included."""
NEGATIVES = 2048
"""Sampled for each optimiser step, by losses that are not over the whole catalogue; at most one
less than the items."""


def pieces(train: Interactions, max_length: int) -> Interactions:
    """Histories of more than ``max_length + 1`` items cut into pieces; those of one item left out.

    A piece begins with the item its predecessor ends with, so that every item but a user's first is
    predicted once. The newest piece is the full one; the oldest may be short.
    """
    rows: list[list[int]] = []
    for user in np.flatnonzero(train.counts() > 1):
        items = train.of(int(user)).tolist()
        ends = range(len(items), 1, -max_length)
        rows += [items[max(0, end - max_length - 1) : end] for end in ends]
    return Interactions.from_lists(rows, train.num_items)


def padded(history: Interactions) -> Int[Tensor, "batch length"]:
    """Rows side by side, padded on the right with item 0."""
    counts = history.counts()
    items = np.zeros((len(counts), counts.max(initial=0)), dtype=np.int64)
    items[np.arange(items.shape[1]) < counts[:, None]] = history.items
    return torch.from_numpy(items)


def training_epoch(
    network: SasRecNetwork,
    train: Interactions,
    *,
    seed: int,
    learning_rate: float = 1e-3,
    loss: Loss = "full",
) -> Callable[[int], float]:
    """A function that passes once over all histories and returns the mean loss of a position.

    Sequences of similar length share a batch, and only real positions are scored.

    Args:
        network: trained by Adam.
        train: oldest first within a user.
        seed: of the batches and of sampled negatives.
        learning_rate: of Adam.
        loss: over the whole catalogue or sampled.
    """
    sequences = pieces(train, network.max_length)
    lengths = sequences.counts() - 1
    # Fused: one pass over the item table, which is most of a step's parameters.
    optimizer = torch.optim.Adam(
        network.parameters(), lr=learning_rate, betas=(0.9, 0.98), fused=True
    )

    sampled = min(NEGATIVES, max(1, train.num_items - 1))

    def epoch(number: int) -> float:
        rng = generator(seed, "batches", number)
        total = 0.0
        batches = length_buckets(lengths, max_tokens=BATCH_POSITIONS, max_rows=BATCH_USERS, rng=rng)
        for batch in batches:
            items = padded(sequences.rows(batch))
            real = torch.arange(items.shape[1] - 1) < torch.from_numpy(lengths[batch])[:, None]
            hidden = network(items[:, :-1])[real]
            negatives = torch.from_numpy(rng.integers(train.num_items, size=sampled))
            mean = next_item_loss(loss, hidden, network.items, items[:, 1:][real], negatives)
            optimizer.zero_grad(set_to_none=True)
            mean.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += mean.item() * len(hidden)
        return total / max(1, int(lengths.sum()))

    return epoch


class SasRecScorer:
    """Scores what comes next after a history: of the newest items that the network can read.

    Args:
        network: trained, and not trained on.
        counts: training interactions of each item; popularity ranks for an empty history, of which
            a transformer has nothing to read.
    """

    def __init__(self, network: SasRecNetwork, counts: NDArray[np.integer]) -> None:
        self.network = network
        self.popularity = np.log1p(counts).astype(np.float32)

    @torch.no_grad()
    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; the user's number plays no part."""
        scores = np.tile(self.popularity, (history.num_users, 1))
        rows = np.flatnonzero(history.counts())
        if len(rows) == 0:
            return scores
        read = newest(history.rows(rows), self.network.max_length)
        hidden = self.network(padded(read))
        last = hidden[torch.arange(len(rows)), torch.from_numpy(read.counts() - 1)]
        scores[rows] = self.network.logits(last).numpy()
        return scores


def newest(history: Interactions, length: int) -> Interactions:
    """At most the ``length`` newest items of every row."""
    place = np.arange(len(history)) - np.repeat(history.offsets[:-1], history.counts())
    return history.where(place >= np.repeat(history.counts() - length, history.counts()))
