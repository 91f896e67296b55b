"""Settings of the service: address, keys, limits."""

import ipaddress
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from cllm4rec.errors import InputError

KEYS_VARIABLE = "CLLM4REC_KEYS"
"""Environment variable with API keys, one per line or separated by commas."""
MAX_BODY_BYTES = 1_000_000
"""Longest request body."""
MAX_HISTORY = 1_000
"""Most items per history."""
MAX_ASKED = 64
"""Most users, or histories, per request."""
MAX_K = 1_000
"""Longest list."""
MAX_ADDED = 10_000
"""Most items added or removed per request."""
MAX_EXPLAINED = 64
"""Newest items of a history that are left out in turn for an explanation."""


class ServiceSettings(BaseModel):
    """Settings of one service."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    run: Path
    """The run, or saved folder, to serve."""
    feedback: Path | None = None
    """Folder of the feedback log; None for ``RUN/feedback``."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 for any free one."""
    keys: tuple[str, ...] = ()
    """API keys; without any, the service is open, which is allowed only on a loopback address."""
    local_hosts_only: bool = False
    """Refuse host names other than loopback ones. Otherwise a web page could reach a service
    without keys by resolving its own name to 127.0.0.1 (DNS rebinding)."""
    batch_tokens: PositiveInt = 2048
    """Tokens per forward pass."""
    gather_ms: NonNegativeFloat = 3.0
    """Longest wait for requests still being read, so that they share a forward pass."""
    max_wait_ms: PositiveFloat | None = None
    """Requests that would wait longer are refused at once; None for six times the measured duration
    of a single request, so that slower machines allow more."""
    deadline_s: PositiveFloat = 10.0
    """Requests not answered by then are dropped."""
    shutdown_s: PositiveFloat = 30.0
    """Time for accepted requests after SIGTERM."""

    @property
    def feedback_folder(self) -> Path:
        """Folder of the feedback log."""
        return self.feedback if self.feedback is not None else self.run / "feedback"


def is_loopback(host: str) -> bool:
    """Whether a service listening on ``host`` is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_keys(path: Path | None) -> tuple[str, ...]:
    """API keys from a file, one per line, and the environment; empty lines are skipped.

    Raises:
        InputError: the file is unreadable or empty, or a key is not printable ASCII.
    """
    lines = os.environ.get(KEYS_VARIABLE, "").replace(",", "\n").splitlines()
    if path is not None:
        try:
            from_file = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InputError(f"cannot read --keys {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise InputError(f"--keys {path} is not UTF-8 text; one key per line") from None
        if not any(line.strip() for line in from_file):
            raise InputError(f"--keys {path} holds no key; write one per line")
        lines += from_file
    keys = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
        source = f"--keys {path}" if path is not None else KEYS_VARIABLE
        raise InputError(f"a key of {source} is not printable ASCII without spaces; change it")
    return keys


def refuse_open_door(host: str, keys: tuple[str, ...]) -> None:
    """Refuse to run without keys on an address that others can reach.

    Raises:
        InputError: ``host`` is not a loopback address and there is no key.
    """
    if not keys and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from elsewhere and there are no keys; "
            f"give --keys FILE or set {KEYS_VARIABLE}"
        )
