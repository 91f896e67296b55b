"""Ctrl-C is an interruption, whatever libraries make of it, and ends a query of DuckDB at once."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SAID = "interrupted; run the same command again to go on"
EXIT_CODE = 130

AGAIN_S = 0.1
"""A query may begin between the signal and its interruption: it is interrupted again so often."""

_came_in = threading.Event()


def _note(number: int, frame: FrameType | None) -> None:
    _came_in.set()
    signal.default_int_handler(number, frame)


def _is_pythons() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt in this thread, and nobody else handles it."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _note)


@contextmanager
def interruption() -> Iterator[None]:
    """What the block raises after Ctrl-C is an interruption; may be nested.

    A library that is being loaded, above all one in C, may turn it into an error of its own.

    Raises:
        KeyboardInterrupt: Ctrl-C came in.
    """
    if not _is_pythons():
        yield
        return
    before = signal.signal(signal.SIGINT, _note)
    try:
        yield
    except Exception:
        if _came_in.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        if before is not _note:
            _came_in.clear()


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call ``interrupt`` from a thread of its own when Ctrl-C comes in, until the block ends.

    Python handles a signal between two of its own instructions, of which a query has none. Nothing
    is done outside the main thread, or where somebody else handles the signal.

    Args:
        interrupt: ends what the main thread waits for; may be called at any time.

    Raises:
        KeyboardInterrupt: Ctrl-C came in.
    """
    if not _is_pythons():
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    ended = threading.Event()

    def watch() -> None:
        while numbers := reading.recv(64):
            if signal.SIGINT in numbers:
                _came_in.set()
                while not ended.wait(AGAIN_S):
                    interrupt()

    with interruption():
        before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=watch, name="interrupts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            ended.set()
            writing.close()  # ends the thread's waiting
            thread.join()
            reading.close()
