"""Where the time goes: functions timed from outside, each second counted for one part only."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, NamedTuple

OTHER = "other"
"""Time in none of the timed functions."""


class Timed(NamedTuple):
    """A function of a module, a class or an object, and the part that its time counts for."""

    owner: Any
    name: str
    part: str


class Stopwatch:
    """Seconds per part; within a timed function called by another, only the inner one's run.

    Args:
        wait: until the device is done; called before the clock is read.
    """

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.wait = wait
        self.seconds: dict[str, float] = {}
        self._parts: list[str] = []
        self._since_s = 0.0

    @contextmanager
    def running(self, functions: Sequence[Timed]) -> Iterator[None]:
        """Time these functions within the block; one that does not exist is left out."""
        with ExitStack() as stack:
            for owner, name, part in functions:
                if hasattr(owner, name):
                    stack.enter_context(_replaced(owner, name, self._timing(part)))
            with self._in(OTHER):
                yield

    def shares(self) -> dict[str, float]:
        """Each part's share of all seconds so far."""
        total = sum(self.seconds.values())
        return {part: seconds / total for part, seconds in self.seconds.items()}

    def _timing(self, part: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def timing(function: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(function)
            def timed(*arguments: Any, **options: Any) -> Any:
                with self._in(part):
                    return function(*arguments, **options)

            return timed

        return timing

    @contextmanager
    def _in(self, part: str) -> Iterator[None]:
        self._count()
        self._parts.append(part)
        try:
            yield
        finally:
            self._count()
            self._parts.pop()

    def _count(self) -> None:
        self.wait()
        now_s = time.perf_counter()
        if self._parts:
            part = self._parts[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now_s - self._since_s
        self._since_s = now_s


@contextmanager
def _replaced(
    owner: Any, name: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, change(getattr(owner, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)
