"""API keys, required on every route except the two health checks."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from cllm4rec.service.answers import send_error

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths that require no key."""
_LOCAL_HOSTS = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyCheck:
    """Pure ASGI: refuses before anything of the request is read.

    A key is taken as ``Authorization: Bearer KEY``, as ``X-API-Key: KEY``, or as the password of
    HTTP Basic, for which a browser prompts. A browser sends a Basic password with whatever page
    asks it to; so with Basic, and without keys at all, what changes something must not come from
    another site.

    Args:
        app: the wrapped application.
        keys: valid keys; empty for an open service.
        local_hosts_only: refuse host names other than loopback ones.
    """

    def __init__(
        self, app: ASGIApp, keys: Sequence[str] = (), *, local_hosts_only: bool = False
    ) -> None:
        self.app = app
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._local_hosts_only = local_hosts_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self._local_hosts_only and _host(headers.get(b"host", b"")) not in _LOCAL_HOSTS:
            message = "this service answers for localhost only; give it keys to open it"
            await send_error(scope, receive, send, 421, message)
            return
        key, by_browser = _given_key(headers)
        if self._digests and not self._is_valid(key):
            message = "no valid key; send Authorization: Bearer KEY, or X-API-Key: KEY"
            challenge = {"WWW-Authenticate": 'Basic realm="cllm4rec", charset="UTF-8"'}
            await send_error(scope, receive, send, 401, message, challenge)
            return
        site = headers.get(b"sec-fetch-site", b"none")
        if (
            (by_browser or not self._digests)
            and scope["method"] not in _SAFE
            and site not in {b"none", b"same-origin"}
        ):
            message = "a page of another site may not ask for this"
            await send_error(scope, receive, send, 403, message)
            return
        await self.app(scope, receive, send)

    def _is_valid(self, key: bytes) -> bool:
        """Check a key in constant time."""
        digest = hashlib.sha256(key).digest()
        valid = False
        for known in self._digests:
            valid |= hmac.compare_digest(digest, known)
        return valid


def _given_key(headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
    """The key of a request (empty if missing), and whether it came by HTTP basic auth."""
    if (key := headers.get(b"x-api-key")) is not None:
        return key, False
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return credentials.strip(), False
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2], True
        except (binascii.Error, ValueError):
            return b"", True
    return b"", False


def _host(header: bytes) -> bytes:
    """The host name of a ``Host`` header, without its port."""
    end = header.find(b"]") + 1 or header.find(b":")
    return (header if end <= 0 else header[:end]).lower()
