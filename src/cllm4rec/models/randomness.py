"""Seeding torch's random draws, such as dropout, by a seed and names."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cllm4rec.seeds import derived_seed


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Within the block, torch's draws depend only on the seed and the names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, *names))
        yield
