"""What is read of a request, and when it is not even read: pure ASGI, before the framework."""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cllm4rec.service.answers import send_error
from cllm4rec.service.batching import MicroBatcher, Overloaded
from cllm4rec.service.metrics import ServiceMetrics

READ_S = 10.0
"""Time for a body to arrive."""
SCORED_PATHS = frozenset({"/v1/recommend"})
"""Paths whose requests end in the batcher's queue."""


class Limits:
    """Counts what is asked, bounds what is read, and refuses what could not be answered in time.

    Args:
        app: what is behind.
        metrics: told of every request.
        batcher: asked whether one more request fits.
        max_body_bytes: longest body, counted while reading: a length that is announced may lie.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: ServiceMetrics, batcher: MicroBatcher, max_body_bytes: int
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._batcher = batcher
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on with its body read, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scored = scope["path"] in SCORED_PATHS and scope["method"] == "POST"
        try:
            if scored:
                self._batcher.refuse_if_full()
            self._batcher.announced += scored
            try:
                body = await self._body(scope, receive)
            finally:
                self._batcher.announced -= scored
        except Overloaded as error:
            self._metrics.shed.inc()
            after = {"Retry-After": str(error.retry_after_s)}
            await send_error(scope, receive, send, 429, str(error), after)
        except _TooLong:
            message = f"the body is longer than {self._max_body_bytes} bytes"
            await send_error(scope, receive, send, 413, message, {"Connection": "close"})
        except TimeoutError:
            message = f"the body did not arrive within {READ_S:g} s"
            await send_error(scope, receive, send, 408, message, {"Connection": "close"})
        except _Gone:
            return
        else:
            await self.app(scope, _replayed(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            raise _TooLong
        parts, size = [], 0
        async with asyncio.timeout(READ_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._max_body_bytes:
                    raise _TooLong
                if not message.get("more_body", False):
                    return b"".join(parts)


class Counted:
    """Outermost: latency and status of every answer, whoever gave it.

    Args:
        app: what is behind.
        metrics: where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and look at what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at_s = time.perf_counter()
        status = 499

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            status = 500
            raise
        finally:
            route = route_of(scope)
            self._metrics.requests.labels(route, scope["method"], status).inc()
            self._metrics.latency.labels(route).observe(time.perf_counter() - started_at_s)


def route_of(scope: Scope) -> str:
    """The template of the route that answered; never the path, which may hold an id."""
    path: Any = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return scope["path"] if scope["path"] in SCORED_PATHS else "other"


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, and then whatever comes (a disconnect)."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


class _TooLong(Exception):
    pass


class _Gone(Exception):
    """The client left before its request was whole."""
