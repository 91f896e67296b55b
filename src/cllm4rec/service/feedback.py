"""The feedback log: acknowledged rows are on disk, even if the process is killed.

One append-only JSON-lines file in the format of ``interactions.jsonl``. Concurrent requests share
one ``fsync``. A half-written last line of a killed process was never acknowledged and is cut off at
the next start. If the file is moved away, for training, a new one is started; if it is cut, a half
line at its new end goes too.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cllm4rec.errors import InputError
from cllm4rec.run import flush
from cllm4rec.service.worker import Worker

FILE = "interactions.jsonl"
LOCK = ".lock"
"""Lock file of the writing service."""
MAX_WAITING_BYTES = 64_000_000
"""Most feedback that may wait for the disk; more is refused."""
_BLOCK = 1 << 16


class FeedbackUnavailable(Exception):
    """The log cannot accept rows; the message says why."""


class FeedbackLog(Worker):
    """Append-only, group-committed log.

    Args:
        folder: created if needed; only one service at a time may write to it. A link to it, or to
            its run, may lead elsewhere later: the log stays.
        on_commit: called after every ``fsync``.

    Raises:
        InputError: the folder cannot be written, or another service writes to it.
    """

    def __init__(self, folder: Path, on_commit: Callable[[], None] = lambda: None) -> None:
        super().__init__("feedback")
        folder = folder.resolve()  # where a link led at the start, wherever it leads later
        self.path = folder / FILE
        self.waiting_bytes = 0
        self._on_commit = on_commit
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._broken: str | None = None
        self._position = 0
        # A separate lock file: the log itself may be moved. Another thread releases the lock.
        self._lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._file, self._size = _opened(self.path)
        except Timeout:
            raise InputError(
                f"{self.path} is written by another service; give --feedback DIR"
            ) from None
        except OSError as error:
            self._lock.release()
            raise InputError(
                f"cannot write feedback to {self.path}: {error.strerror}; give --feedback DIR"
            ) from None

    def close(self) -> None:
        """Write accepted rows, then end the writer."""
        super().close()
        os.close(self._file)
        self._lock.release()

    def rows_of(self, interactions: Sequence[Any]) -> list[dict[str, Any]]:
        """Rows to append, in the order sent; the time of arrival stands where none was given.

        Every row has a ``position`` of its own, the microsecond of its arrival, above that of the
        row before: `prepare` draws the order of equal times that have none.
        """
        now_us = time.time_ns() // 1000
        first = max(now_us, self._position + 1)
        self._position = first + len(interactions) - 1
        return [
            {
                "user_id": each.user_id,
                "item_id": each.item_id,
                "timestamp": now_us // 1_000_000 if each.timestamp is None else each.timestamp,
                "position": first + place,
            }
            for place, each in enumerate(interactions)
        ]

    async def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows; returns once they are on disk.

        Raises:
            FeedbackUnavailable: the disk is full or broken, or too much is waiting for it.
        """
        data = "".join(json.dumps(row) + "\n" for row in rows).encode("ascii")
        written = asyncio.get_running_loop().create_future()
        with self._condition:
            if self._broken is not None:
                raise FeedbackUnavailable(self._broken)
            if self._closing:
                raise FeedbackUnavailable("the service is shutting down")
            if self.waiting_bytes + len(data) > MAX_WAITING_BYTES:
                raise FeedbackUnavailable("too much feedback is waiting for the disk")
            self.waiting_bytes += len(data)
            self._waiting.append((data, written))
            self._condition.notify()
        await written

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._closing:
                    self._condition.wait()
                group, self._waiting = self._waiting, []
                if not group:
                    return
            error = self._commit(b"".join(data for data, _ in group))
            with self._condition:
                self.waiting_bytes -= sum(len(data) for data, _ in group)
            assert self._loop is not None
            self._loop.call_soon_threadsafe(_deliver, [future for _, future in group], error)

    def _commit(self, data: bytes) -> FeedbackUnavailable | None:
        if self._broken is not None:
            return FeedbackUnavailable(self._broken)
        try:
            if not self._is_as_left():
                taken = self._file
                self._file, self._size = _opened(self.path)
                os.close(taken)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            # Remove a partial write: those rows were never acknowledged. A file that was cut
            # meanwhile is not made longer, which would fill it with NUL bytes.
            os.ftruncate(self._file, min(self._size, os.fstat(self._file).st_size))
            return FeedbackUnavailable(f"cannot write feedback: {error.strerror}")
        try:
            os.fsync(self._file)
        except OSError as error:
            # After a failed fsync the disk's state is unknown, and a second fsync may lie.
            self._broken = f"the feedback log's disk failed: {error.strerror}; restart the service"
            return FeedbackUnavailable(self._broken)
        self._size += len(data)
        self._on_commit()
        return None

    def _is_as_left(self) -> bool:
        """Whether the open file still has the log's name, and the size that was last written."""
        own = os.fstat(self._file)
        try:
            return own.st_size == self._size and os.path.samestat(own, self.path.stat())
        except FileNotFoundError:
            return False


def _deliver(futures: list["asyncio.Future[None]"], error: FeedbackUnavailable | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _opened(path: Path) -> tuple[int, int]:
    """The log and its size: whole lines only, under its name on the disk."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = _whole_lines(file)
        os.ftruncate(file, size)
        os.fsync(file)
        flush(path.parent)
    except OSError:
        os.close(file)
        raise
    return file, size


def _whole_lines(file: int) -> int:
    """Bytes up to and including the last line feed."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        block = os.pread(file, end - start, start)
        if (at := block.rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0
