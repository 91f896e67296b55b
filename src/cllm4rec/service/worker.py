"""A thread that works on what the event loop hands it."""

import asyncio
import threading
from abc import ABC, abstractmethod


class Worker(ABC):
    """One thread, started and closed from the event loop.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._condition = threading.Condition()
        """Guards what both threads touch; notified at every change."""
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start the worker; call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Finish what was accepted, then end the worker."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _work(self) -> None:
        """The thread: returns once it is closing and nothing is left."""
