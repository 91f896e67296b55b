"""Initial token vectors: noise (the paper), mean word embeddings, or rotated factors."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

NOISE = 0.02 / 0.14
"""Std of new tokens relative to that of the words: GPT-2's ratio, as in the authors' code.

At the words' own scale the noise dominates what a token learns for many epochs
(docs/decisions/0014).
"""


def noise(rows: int, words: Float[Tensor, "words size"], seed: int) -> Float[Tensor, "rows size"]:
    """Normal noise with ``NOISE`` times the word embeddings' std (the paper's new tokens)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, words.shape[1], generator=generator) * words.std() * NOISE


def word_means(
    texts: list[list[int]], words: Float[Tensor, "words size"], seed: int
) -> Float[Tensor, "rows size"]:
    """Mean word embedding of each text; noise for empty texts."""
    table = noise(len(texts), words, seed)
    for row, tokens in enumerate(texts):
        if tokens:
            table[row] = words[torch.tensor(tokens)].mean(dim=0)
    return table


def random_rotation(
    factors: np.ndarray, words: Float[Tensor, "words size"], seed: int
) -> Float[Tensor, "items size"]:
    """Rotate item factors at random into the backbone's width and scale them to the words' norm.

    A rotation preserves products. It distributes the factors over the backbone's coordinates, a few
    of which are outliers and would otherwise absorb the first factors.

    Args:
        factors: ``[items, d]``, d ≤ the width.
        words: frozen word embeddings.
        seed: of the rotation.
    """
    size = words.shape[1]
    if factors.shape[1] > size:
        raise ValueError(f"{factors.shape[1]} factors for a width of {size}")
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    table = torch.from_numpy(factors).float() @ rotation[: factors.shape[1]]
    norm = table.norm(dim=1).mean().clamp_min(1e-6)
    scaled: Tensor = table * (words.norm(dim=1).mean() / norm)
    return scaled


def history_means(
    items: Float[Tensor, "items size"],
    offsets: Int[np.ndarray, " users_and_one"],
    numbers: Int[np.ndarray, " interactions"],
) -> Float[Tensor, "users size"]:
    """Each user's mean training item vector, ``[users, size]``; zero without items."""
    counts = torch.from_numpy(np.diff(offsets))
    users = torch.repeat_interleave(torch.arange(len(counts)), counts)
    total = torch.zeros(len(counts), items.shape[1])
    total.index_add_(0, users, items[torch.from_numpy(np.asarray(numbers)).long()])
    means: Tensor = total / counts.clamp_min(1).unsqueeze(1)
    return means
