"""Ctrl-C and SIGTERM interrupt, whatever libraries make of them, and end DuckDB's queries too."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SAID = "interrupted; run the same command again to go on"
AGAIN_S = 0.1
"""A query may begin between the signal and its interruption: it is interrupted again so often."""

_came_in = threading.Event()


class _Last:
    """The signal that came in last."""

    number: int = signal.SIGINT


def exit_code() -> int:
    """Of a program that was interrupted, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + _Last.number


def _note(number: int, frame: FrameType | None) -> None:
    _came_in.set()
    _Last.number = number
    if number == signal.SIGTERM:  # what comes after it need not wait for anything
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.default_int_handler(number, frame)


def _interrupting() -> set[int]:
    """The signals that raise KeyboardInterrupt in this thread, and that nobody else handles."""
    if threading.current_thread() is not threading.main_thread():
        return set()
    handled = {signal.SIGINT: (signal.default_int_handler, _note), signal.SIGTERM: (_note,)}
    return {number for number, ours in handled.items() if signal.getsignal(number) in ours}


@contextmanager
def termination() -> Iterator[None]:
    """SIGTERM is an interruption in the block as Ctrl-C is; a second one ends the process at once.

    For a program that is alone: of several, `training.watch` ends all. May be nested; a signal
    that somebody handles already is left to them.

    Raises:
        KeyboardInterrupt: SIGTERM came in.
    """
    is_main = threading.current_thread() is threading.main_thread()
    is_free = is_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not is_free or os.environ.get("WORLD_SIZE", "1") != "1":
        yield
        return
    signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _note:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def interruption() -> Iterator[None]:
    """What the block raises after Ctrl-C is an interruption; may be nested.

    A library that is being loaded, above all one in C, may turn it into an error of its own.

    Raises:
        KeyboardInterrupt: Ctrl-C came in.
    """
    ours = _interrupting()
    if not ours:
        yield
        return
    before = signal.signal(signal.SIGINT, _note) if signal.SIGINT in ours else None
    try:
        yield
    except Exception:
        if _came_in.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        if before is not _note:
            _came_in.clear()


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call ``interrupt`` from a thread of its own when a signal comes in, until the block ends.

    Python handles a signal between two of its own instructions, of which a query has none. Nothing
    is done outside the main thread, or where somebody else handles the signal.

    Args:
        interrupt: ends what the main thread waits for; may be called at any time.

    Raises:
        KeyboardInterrupt: Ctrl-C came in, or SIGTERM where `termination` handles it.
    """
    ours = _interrupting()
    if not ours:
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    ended = threading.Event()

    def watch() -> None:
        while numbers := reading.recv(64):
            if ours.intersection(numbers):
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
