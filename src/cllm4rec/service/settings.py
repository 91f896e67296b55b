"""How a service runs: where it listens, who may ask, how much it takes on at once."""

import ipaddress
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from cllm4rec.errors import InputError

KEYS_VARIABLE = "CLLM4REC_KEYS"
"""Environment variable with API keys, one per line or separated by commas."""
MAX_BODY_BYTES = 1_000_000
"""Longest body that is read."""
MAX_HISTORY = 1_000
"""Items of one history."""
MAX_ASKED = 64
"""Users, or histories, of one request."""
MAX_K = 1_000
"""Longest list."""
MAX_EXPLAINED = 64
"""Newest items of a history whose share in a score is measured."""


class ServiceSettings(BaseModel):
    """Settings of one service."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    run: Path
    """The run, or saved folder, whose model is served."""
    feedback: Path | None = None
    """Folder of the feedback log; None takes ``RUN/feedback``."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 takes any that is free."""
    keys: tuple[str, ...] = ()
    """API keys; none at all: everyone may ask, which is allowed on a loopback address only."""
    local_hosts_only: bool = False
    """Refuse requests for a host name that is no loopback's: a page in the user's browser must not
    reach a service without keys by giving its own name the address 127.0.0.1."""
    batch_tokens: PositiveInt = 2048
    """Tokens of one forward pass."""
    gather_ms: NonNegativeFloat = 3.0
    """Longest wait for requests that are still being read, so that they share a forward pass."""
    max_wait_ms: PositiveFloat | None = None
    """Requests that would wait longer than this are refused at once; None takes six times what a
    request takes that is alone, as measured, so that a slower machine is given more time."""
    deadline_s: PositiveFloat = 10.0
    """Requests that are not answered by then are given up."""
    shutdown_s: PositiveFloat = 30.0
    """Time given to accepted requests after SIGTERM."""

    @property
    def feedback_folder(self) -> Path:
        """Where the feedback log is."""
        return self.feedback if self.feedback is not None else self.run / "feedback"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a service that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_keys(path: Path | None) -> tuple[str, ...]:
    """API keys of a file, one per line, and of the environment; empty lines count for nothing.

    Raises:
        InputError: the file cannot be read, holds no key, or a key is not printable ASCII.
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
    """A service that others can reach must have keys.

    Raises:
        InputError: ``host`` is no loopback address and there is no key.
    """
    if not keys and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from elsewhere and there are no keys; "
            f"give --keys FILE or set {KEYS_VARIABLE}"
        )
