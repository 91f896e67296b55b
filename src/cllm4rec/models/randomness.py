"""Torch's own draws, such as dropout, as a function of a seed and names."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cllm4rec.seeds import derived_seed


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Torch's draws within the block depend on the seed and the names alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, *names))
        yield
