"""Mult-VAE: a variational autoencoder of histories (Liang et al., WWW 2018)."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.data.interactions import Interactions
from cllm4rec.seeds import generator

DROPOUT = 0.5
"""Probability that an item of the input history is dropped."""
BATCH_USERS = 100
"""Users of one optimiser step."""
ANNEALING_EPOCHS = 50
"""Epochs over which the weight of the divergence rises from 0 to ``beta``."""
LEARNING_RATE = 1e-3
"""Of Adam."""


class MultVaeNetwork(nn.Module):
    """Encoder items → hidden → (mean, log variance), decoder latent → hidden → items; tanh.

    Args:
        num_items: size of the catalogue.
        hidden: width of the hidden layer on either side.
        latent: width of the code.
    """

    def __init__(self, num_items: int, hidden: int, latent: int) -> None:
        super().__init__()
        # A bag of embeddings is a linear layer whose input is mostly zeros.
        self.items = nn.EmbeddingBag(num_items, hidden, mode="sum")
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.code = nn.Linear(hidden, 2 * latent)
        self.decoder = nn.Linear(latent, hidden)
        self.output = nn.Linear(hidden, num_items)
        for weight in (self.items.weight, self.code.weight, self.decoder.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.xavier_uniform_(self.output.weight)
        for bias in (self.code.bias, self.decoder.bias, self.output.bias):
            nn.init.zeros_(bias)

    def encode(
        self, items: Int[Tensor, " n"], offsets: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Mean and log variance of the codes of histories, which are given one after another.

        The input is divided by its length before items are dropped, as in the authors' code.
        """
        counts = torch.diff(offsets, append=offsets.new_tensor([len(items)]))
        values = counts.clamp_min(1).rsqrt().repeat_interleave(counts)
        values = functional.dropout(values, DROPOUT, self.training)
        hidden = self.items(items, offsets, per_sample_weights=values)
        mean, log_variance = self.code(torch.tanh(hidden + self.hidden_bias)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch items"]:
        """Logits of the multinomial."""
        logits: Tensor = self.output(torch.tanh(self.decoder(code)))
        return logits

    def forward(
        self, items: Int[Tensor, " n"], offsets: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """Logits from the codes' means."""
        return self.decode(self.encode(items, offsets)[0])

    def loss(
        self, items: Int[Tensor, " n"], offsets: Int[Tensor, " batch"], weight: float
    ) -> Float[Tensor, ""]:
        """Negative evidence lower bound in nats, mean over users.

        Args:
            items: the histories, one after another.
            offsets: where each begins.
            weight: of the divergence from the normal prior.
        """
        mean, log_variance = self.encode(items, offsets)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        logits = self.decode(mean + noise * torch.exp(0.5 * log_variance))
        counts = torch.diff(offsets, append=offsets.new_tensor([len(items)]))
        rows = torch.arange(len(offsets)).repeat_interleave(counts)
        likelihood = logits.log_softmax(dim=1)[rows, items].sum()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (weight * divergence - likelihood) / len(offsets)


def training_epoch(
    network: MultVaeNetwork, train: Interactions, *, beta: float, seed: int
) -> Callable[[int], float]:
    """A function that passes once over the users in random batches and returns the mean loss.

    Args:
        network: trained by Adam.
        train: users without an interaction are left out.
        beta: weight of the divergence once it has risen.
        seed: of the batches.
    """
    users = np.flatnonzero(train.counts())
    batches = -(-len(users) // BATCH_USERS)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)

    def epoch(number: int) -> float:
        order = generator(seed, "batches", number).permutation(users)
        total = 0.0
        for index, batch in enumerate(np.array_split(order, batches)):
            weight = beta * min(1.0, (number + index / batches) / ANNEALING_EPOCHS)
            loss = network.loss(*histories(train.rows(batch)), weight)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(batch)
        return total / max(1, len(users))

    return epoch


def histories(interactions: Interactions) -> tuple[Int[Tensor, " n"], Int[Tensor, " batch"]]:
    """Items of all rows, one after another, and where each row begins."""
    return _int64(interactions.items), _int64(interactions.offsets[:-1])


def _int64(numbers: NDArray[np.integer]) -> Tensor:
    return torch.from_numpy(np.array(numbers, dtype=np.int64))


class MultVaeScorer:
    """Scores by the decoder's logits at the mean code of the history.

    Args:
        network: trained, and not trained on.
    """

    def __init__(self, network: MultVaeNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; the user's number plays no part."""
        scores: NDArray[np.float32] = self.network(*histories(history)).numpy()
        return scores
