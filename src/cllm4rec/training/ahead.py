"""Batches made while the device computes: the next step's, by another thread.

Which batches a step has, and their bytes, do not depend on who makes them or when.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def made(
    make: Callable[[Any], list[Any]], steps: Sequence[Any], *, ahead: bool
) -> Iterator[Iterator[list[Any]]]:
    """The batches of each step, in order; no thread is left where the block ends.

    Args:
        make: a step's batches; it depends on the step alone.
        steps: documents of each.
        ahead: whether a thread makes a step's batches while the caller has those of the one before.
            What ``make`` raises is raised where the batches of its step are asked for.
    """
    if not ahead:
        yield map(make, steps)
        return
    with ThreadPoolExecutor(1, "batches") as thread:
        yield _one_ahead(thread, make, steps)


def _one_ahead(
    thread: ThreadPoolExecutor, make: Callable[[Any], list[Any]], steps: Sequence[Any]
) -> Iterator[list[Any]]:
    coming = thread.submit(make, steps[0]) if steps else None
    for later in steps[1:]:
        assert coming is not None
        batches, coming = coming.result(), thread.submit(make, later)
        yield batches
    if coming is not None:
        yield coming.result()
