"""Which of several processes this one is; without torchrun the only one, which is the main one."""

import os
import sys
from collections.abc import Callable

from cllm4rec.errors import InputError


class _Here:
    """What this process knows of its place, once it trains together with others."""

    alone = True
    is_main = True
    may_speak: Callable[[], bool] = staticmethod(lambda: True)


def place_among_processes() -> tuple[int, int]:
    """``RANK`` and ``WORLD_SIZE`` as set by torchrun; (0, 1) without it.

    Raises:
        InputError: they are not numbers, or inconsistent.
    """
    given = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        rank, world_size = map(int, given)
    except ValueError:
        rank, world_size = -1, 0
    if not 0 <= rank < world_size:
        raise InputError(
            f"RANK={given[0]} and WORLD_SIZE={given[1]} in the environment do not fit together; "
            f"unset them or start with torchrun"
        )
    return rank, world_size


def place_on_machine() -> int:
    """Number of this process among those of its machine that train together; 0 for one process."""
    return 0 if _Here.alone else int(os.environ.get("LOCAL_RANK", "0"))


def become(rank: int, may_speak: Callable[[], bool]) -> None:
    """Train together with others from now on.

    Args:
        rank: of this process; 0 is the main one.
        may_speak: true for the first of all processes that asks.
    """
    _Here.alone = False
    _Here.is_main = rank == 0
    _Here.may_speak = staticmethod(may_speak)


def is_alone() -> bool:
    """Whether no other process trains with this one."""
    return _Here.alone


def is_main() -> bool:
    """Whether this process writes the run: the others read what it wrote."""
    return _Here.is_main


def may_speak() -> bool:
    """Whether this process says why all end; the others end without a word."""
    return _Here.may_speak()


def end_at_once(code: int) -> None:
    """End this process though a thread of it may wait for another one, for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
