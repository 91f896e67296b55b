"""A small HTTP client that measures: kept-alive connections, answers timed one by one.

In an open loop requests are sent when their time has come, whether or not earlier ones are
answered, and are timed from that moment on: a server that stalls cannot hide it.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status and how long it took, in seconds."""

    status: int
    seconds: float


class Client:
    """Sends the same kind of request over and over.

    Args:
        host: of the server.
        port: of the server.
        requests: whole requests, head and body, taken in turn.
    """

    def __init__(self, host: str, port: int, requests: Sequence[bytes]) -> None:
        self._address = host, port
        self._requests = requests
        self._next = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, since_s: float | None = None) -> Answer:
        """Send the next request; timed from ``since_s`` (:func:`time.perf_counter`), or now."""
        started_at_s = time.perf_counter() if since_s is None else since_s
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        )
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        seconds = time.perf_counter() - started_at_s
        if b"connection: close" in head.lower():
            await _closed(writer)
        else:
            self._idle.append((reader, writer))
        return Answer(status, seconds)

    async def closed_loop(self, concurrency: int, seconds: float) -> list[Answer]:
        """``concurrency`` askers, each asking again as soon as it is answered."""
        until_s = time.perf_counter() + seconds

        async def asker() -> list[Answer]:
            found = []
            while time.perf_counter() < until_s:
                found.append(await self.ask())
            return found

        every = await asyncio.gather(*(asker() for _ in range(concurrency)))
        return [answer for answers in every for answer in answers]

    async def open_loop(self, per_second: float, seconds: float) -> list[Answer]:
        """Requests at a fixed rate."""
        begin_s = time.perf_counter()
        asking = []
        for due_s in self._times(begin_s, per_second, seconds):
            if (left_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(left_s)
            asking.append(asyncio.ensure_future(self.ask(due_s)))
        return list(await asyncio.gather(*asking))

    async def close(self) -> None:
        """Close all connections."""
        idle, self._idle = self._idle, []
        for _, writer in idle:
            await _closed(writer)

    @staticmethod
    def _times(begin_s: float, per_second: float, seconds: float) -> Iterator[float]:
        for number in range(round(per_second * seconds)):
            yield begin_s + number / per_second


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):  # the other side was quicker
        await writer.wait_closed()


def figures(answers: Sequence[Answer], status: int = 200) -> dict[str, float]:
    """Percentiles in milliseconds of the answers with one status, and how many there are."""
    times_ms = [1e3 * answer.seconds for answer in answers if answer.status == status]
    if not times_ms:
        return {"answers": 0}
    p50, p95, p99, most = np.percentile(times_ms, [50, 95, 99, 100])
    return {
        "answers": len(times_ms),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(most), 2),
    }
