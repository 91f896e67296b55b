"""JSON answers made once, and errors that are one line and repeat nothing that was sent."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

Headers = Mapping[str, str]


def encoded(value: Any) -> bytes:
    """JSON as UTF-8.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def error_body(message: str) -> bytes:
    """``{"error": "one line"}``."""
    line = " ".join(message.split())
    return encoded({"error": line.encode("utf-8", "backslashreplace").decode()})


async def send_error(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    message: str,
    headers: Headers | None = None,
) -> None:
    """Answer with an error from below the framework."""
    body = error_body(message)
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
        ],
    })
    await send({"type": "http.response.body", "body": body})
