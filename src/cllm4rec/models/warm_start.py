"""Where the token tables start: noise (the paper), mean word embeddings, or factors."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


def noise(rows: int, words: Float[Tensor, "words size"], seed: int) -> Float[Tensor, "rows size"]:
    """Normal noise at the scale of the word embeddings (the paper's new tokens)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, words.shape[1], generator=generator) * words.std()


def word_means(
    texts: list[list[int]], words: Float[Tensor, "words size"], seed: int
) -> Float[Tensor, "rows size"]:
    """Mean word embedding of each text's tokens; noise where there is no text."""
    table = noise(len(texts), words, seed)
    for row, tokens in enumerate(texts):
        if tokens:
            table[row] = words[torch.tensor(tokens)].mean(dim=0)
    return table


def orthogonal_subspaces(
    collaborative: np.ndarray,
    content: np.ndarray,
    words: Float[Tensor, "words size"],
    seed: int,
) -> Float[Tensor, "items size"]:
    """Item vectors with the interactions' and the texts' factors side by side, turned at random.

    The two parts stay orthogonal, so that neither can hide the other; the rotation spreads them
    over the backbone's coordinates, some of which are outliers. Scaled to the mean norm of the
    word embeddings.

    Args:
        collaborative: ``[items, a]`` factors of the training interactions.
        content: ``[items, b]`` factors of the texts, a + b at most the embedding's width.
        words: frozen word embeddings.
        seed: of the rotation.
    """
    size = words.shape[1]
    factors = torch.from_numpy(np.concatenate([collaborative, content], axis=1)).float()
    if factors.shape[1] > size:
        raise ValueError(f"{factors.shape[1]} factors for a width of {size}")
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    table = factors @ rotation[: factors.shape[1]]
    norm = table.norm(dim=1).mean().clamp_min(1e-6)
    return table * (words.norm(dim=1).mean() / norm)


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
