"""A small HTTP client that measures: kept-alive connections, answers timed one by one.

In an open loop requests are sent when their time has come, whether or not earlier ones are
answered, and are timed from that moment on: a server that stalls cannot hide it.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

REFUSED = 429
"""Status of a request that was refused for others' sake."""
REFUSED_S = 0.1
"""Seconds that a refused asker waits before it asks again."""
MAX_CONNECTIONS = 500
"""A request that is due when so many are open waits for one of them, and the wait counts."""


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
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Connection] = []

    async def ask(self, since_s: float | None = None) -> Answer:
        """Send the next request; timed from ``since_s`` (:func:`time.perf_counter`), or now.

        Raises:
            ConnectionError: the server closed the connection without an answer.
        """
        started_at_s = time.perf_counter() if since_s is None else since_s
        async with self._free:
            request = self._requests[self._next % len(self._requests)]
            self._next += 1
            connection = await self._connection()
            status, answered_at_s = await connection.ask(request)
            if not connection.closing:
                self._idle.append(connection)
            return Answer(status, answered_at_s - started_at_s)

    async def _connection(self) -> "_Connection":
        while self._idle:
            if not (idle := self._idle.pop()).closing:
                return idle
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, *self._address))[1]

    async def closed_loop(self, concurrency: int, seconds: float) -> list[Answer]:
        """``concurrency`` askers, each asking again as soon as it is answered.

        One that is refused waits ``REFUSED_S`` first: who asks for nothing but refusals measures
        how fast they are given.
        """
        until_s = time.perf_counter() + seconds

        async def asker() -> list[Answer]:
            found = []
            while time.perf_counter() < until_s:
                found.append(await self.ask())
                if found[-1].status == REFUSED:
                    await asyncio.sleep(REFUSED_S)
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
        # One after the other, and most are done: to gather all of them at once would keep the loop
        # from seeing the last answers for a tenth of a second.
        return [await asked for asked in asking]

    async def close(self) -> None:
        """Close all connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    @staticmethod
    def _times(begin_s: float, per_second: float, seconds: float) -> Iterator[float]:
        for number in range(round(per_second * seconds)):
            yield begin_s + number / per_second


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time.

    Below asyncio's streams, which cost several times as much: at two thousand requests a second on
    the machine that answers them, the asker must not take a core of it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._came = bytearray()
        self._answer: asyncio.Future[tuple[int, float]] = loop.create_future()
        self._lost = loop.create_future()
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._lost.set_result(None)
        if not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer"))
            self._answer.exception()  # looked at, whether or not somebody waits for it

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._came.clear()
        if b"connection: close" in head:
            self.closing = True
            self._transport.close()
        self._answer.set_result((int(head[9:12]), time.perf_counter()))

    async def ask(self, request: bytes) -> tuple[int, float]:
        """Status of the answer and when it was there."""
        if self._answer.done():
            self._answer = asyncio.get_running_loop().create_future()
        if self.closing:
            raise ConnectionResetError("closed between two requests")
        self._transport.write(request)
        return await self._answer

    async def close(self) -> None:
        self._transport.close()
        await self._lost


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
