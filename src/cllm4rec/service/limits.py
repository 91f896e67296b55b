"""Limits on requests, checked before the framework (pure ASGI)."""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cllm4rec.service.answers import send_error
from cllm4rec.service.batching import MicroBatcher, Overloaded
from cllm4rec.service.metrics import ServiceMetrics

READ_S = 10.0
"""Time limit for receiving a body."""
SCORED_PATHS = frozenset({"/v1/recommend"})
"""Paths whose requests go through the batcher's queue."""


class Limits:
    """Bounds bodies, and refuses requests that could not be answered in time.

    Args:
        app: the wrapped application.
        metrics: counts refusals.
        batcher: decides whether one more request fits.
        max_body_bytes: longest body; counted while reading, since a declared length may be wrong.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: ServiceMetrics, batcher: MicroBatcher, max_body_bytes: int
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._batcher = batcher
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body and pass the request on, or refuse it."""
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
        chunks, size = [], 0
        async with asyncio.timeout(READ_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > self._max_body_bytes:
                    raise _TooLong
                if not message.get("more_body", False):
                    return b"".join(chunks)


class Counted:
    """The outermost layer: counts latency and status of every answer.

    Args:
        app: the wrapped application.
        metrics: to update.
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and record the answer."""
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
    """The template of the route; never the path, which may contain an id."""
    path: Any = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return scope["path"] if scope["path"] in SCORED_PATHS else "other"


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Replays the body already read, then passes on later messages (a disconnect)."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


class _TooLong(Exception):
    pass


class _Gone(Exception):
    """The client disconnected before its request was complete."""
