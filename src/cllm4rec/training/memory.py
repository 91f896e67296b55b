"""Steps that fit into a device's memory, and what is said of one that does not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from cllm4rec.tokens.batch import length_buckets


def pieces(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Parts of a step's documents that are read one after the other; gradients are summed.

    Args:
        lengths: tokens of each document.
        most_tokens: of a part, with padding; a longer document is a part of its own. 0: one part.

    Returns:
        Indices into ``lengths``, each exactly once; within a part ascending.
    """
    if not most_tokens:
        return [list(range(len(lengths)))]
    buckets = length_buckets(np.array(lengths), max_tokens=most_tokens, max_rows=None, rng=None)
    return [sorted(bucket.tolist()) for bucket in buckets]


def micro_batches(
    batches: Callable[[Sequence[Any]], Sequence[Any]],
    lengths: Callable[[Sequence[Any]], Sequence[int]],
    step: Sequence[Any],
    most_tokens: int,
) -> list[Any]:
    """Micro-batches of a step, none of more tokens than a device has memory for.

    Args:
        batches: of some documents.
        lengths: about how many tokens each document has.
        step: documents.
        most_tokens: of a micro-batch, with padding; a longer document has one of its own. 0: as
            ``batches`` has it.
    """
    if not most_tokens:
        return list(batches(step))
    found: list[Any] = []
    parts = [[step[index] for index in part] for part in pieces(lengths(step), most_tokens)]
    while parts:
        part = parts.pop()
        made, half = batches(part), len(part) // 2
        if half and max(map(_tokens, made)) > most_tokens:  # lengths are not exact
            parts += [part[:half], part[half:]]
        else:
            found += made
    return found


class NoMemory(Exception):
    """The device has no memory for a step.

    Args:
        batches: of the step.
    """

    def __init__(self, batches: Sequence[Any]) -> None:
        super().__init__("no memory")
        self.batches = batches


@contextmanager
def memory_for(batches: Sequence[Any]) -> Iterator[None]:
    """Torch's errors about memory, as one.

    Raises:
        NoMemory: there is none for these batches.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise NoMemory(batches) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch found no memory, on a GPU or for the processor."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def out_of_memory(stage: str, batches: Sequence[Any], most_tokens: int) -> str:
    """What to lower, in one line.

    Args:
        stage: that was at work.
        batches: of the step; the largest did not fit.
        most_tokens: the setting ``device_tokens``.
    """
    largest = max((_tokens(batch) for batch in batches), default=most_tokens)
    now = f"now {most_tokens}" if most_tokens else "now without a limit"
    return (
        f"{stage}: the device has no memory for {largest:,} tokens at once; set device_tokens "
        f"({now}) to {max(1, largest // 2)}, or lower, and run the same command again: it goes on "
        f"from its checkpoint"
    )


def _tokens(batch: Any) -> int:
    """Tokens of a micro-batch, with padding."""
    documents = getattr(batch, "prompts", batch)
    tokens = getattr(documents, "tokens", None)
    return 0 if tokens is None else int(tokens.numel())
