"""Where the token tables start: noise (the paper), mean word embeddings, or factors."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

NOISE = 0.02 / 0.14
"""Spread of new tokens beside that of the words: those of GPT-2, which the authors begin with.

At the words' own scale a token's noise outweighs for long what it learns (docs/decisions/0014).
"""


def noise(rows: int, words: Float[Tensor, "words size"], seed: int) -> Float[Tensor, "rows size"]:
    """Normal noise of ``NOISE`` times the word embeddings' scale (the paper's new tokens)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, words.shape[1], generator=generator) * words.std() * NOISE


def word_means(
    texts: list[list[int]], words: Float[Tensor, "words size"], seed: int
) -> Float[Tensor, "rows size"]:
    """Mean word embedding of each text's tokens; noise where there is no text."""
    table = noise(len(texts), words, seed)
    for row, tokens in enumerate(texts):
        if tokens:
            table[row] = words[torch.tensor(tokens)].mean(dim=0)
    return table


def random_rotation(
    factors: np.ndarray, words: Float[Tensor, "words size"], seed: int
) -> Float[Tensor, "items size"]:
    """Item factors, rotated at random into the backbone's width, at the words' mean norm.

    A rotation keeps every product. It spreads the factors over the backbone's coordinates, a few of
    which are outliers that would otherwise swallow whichever factors come first.

    Args:
        factors: ``[items, d]``, d at most the width.
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
    """Users as the mean of their training items, ``[users, size]``; zero without any."""
    counts = torch.from_numpy(np.diff(offsets))
    users = torch.repeat_interleave(torch.arange(len(counts)), counts)
    total = torch.zeros(len(counts), items.shape[1])
    total.index_add_(0, users, items[torch.from_numpy(np.asarray(numbers)).long()])
    means: Tensor = total / counts.clamp_min(1).unsqueeze(1)
    return means
