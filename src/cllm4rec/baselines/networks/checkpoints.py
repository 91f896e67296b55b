"""One training of a neural baseline, looked at several times on its way."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from torch import nn

from cllm4rec import progress
from cllm4rec.errors import RunError
from cllm4rec.models.randomness import seeded

Network = TypeVar("Network", bound=nn.Module)


def checkpoints(
    network: Network,
    epoch: Callable[[int], float],
    epochs: Sequence[int],
    *,
    label: str,
    seed: int,
) -> Iterator[tuple[int, Network]]:
    """Train on, and give a frozen copy after each of these numbers of epochs.

    Who stops asking stops the training.

    Args:
        network: trained in place.
        epoch: one pass over the data, given its number from 0 on; returns the mean loss.
        epochs: numbers of epochs, ascending.
        label: what the progress line says is trained.
        seed: of torch's draws, such as dropout; each epoch has its own.

    Raises:
        RunError: an epoch's loss is not finite.
    """
    done = 0
    for wanted in epochs:
        network.train()
        with progress.task(f"Training {label}", total=wanted - done, unit="epoch") as task:
            for number in range(done, wanted):
                with seeded(seed, "epoch", number):
                    loss = epoch(number)
                if not math.isfinite(loss):
                    raise RunError(
                        f"the baseline {label} has diverged: the loss of epoch {number} is not "
                        f"finite; leave it out of evaluate.baselines"
                    )
                task.advance(loss=loss)
        done = wanted
        yield wanted, copy.deepcopy(network).eval().requires_grad_(False)
