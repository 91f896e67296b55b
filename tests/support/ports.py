"""Ports for processes that are told one before they listen."""

import socket


class ReservedPort:
    """A port of this machine that no other program is given until `close`.

    It is bound, and nobody listens: Linux then gives it to nobody who asks for any port, and to a
    server that asks for this one, where both allow it (``SO_REUSEADDR``, as servers do).
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = int(self._socket.getsockname()[1])

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        self._socket.close()
