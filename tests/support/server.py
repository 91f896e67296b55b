"""The real service in a process of its own, for tests that end it one way or another."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

STARTUP_S = 120
PAUSE_S = 0.1
"""Of each who asks while a model is loaded; several that do leave hardly a moment without one."""


class Server:
    """``cllm4rec serve`` on a free port, ready when it is made."""

    def __init__(self, run: Path, scratch: Path, *options: str, keys: str = "") -> None:
        scratch.mkdir(exist_ok=True)
        self.log = scratch / "log"
        program = "from cllm4rec.cli import main; main()"
        command = [sys.executable, "-c", program, "serve", "--run", str(run), "--port", "0"]
        environment = {**os.environ, "CLLM4REC_KEYS": keys, "OMP_NUM_THREADS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, *options], stderr=log, env=environment)
        self.port = self._ready()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """One request on a connection of its own: status, JSON, headers."""
        connection = self.connect()
        try:
            return ask(connection, path, body, **headers)
        finally:
            connection.close()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def scoring_process(self) -> int:
        """The process number of the model that answers: the youngest of the preloaded one's."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # of one that has just ended
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        return max(pid for pid, up in parents.items() if parents.get(up) == self.process.pid)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, line: str, times: int = 1) -> None:
        """Wait until the server has said something so many times."""
        until_s = time.monotonic() + STARTUP_S
        while self.said().count(line) < times:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until_s, self.said()
            time.sleep(0.02)

    def _ready(self) -> int:
        self.wait_for("serving model")
        found = re.search(r"listening on http://\S*?:(\d+)", self.said())
        assert found is not None
        return int(found[1])


def ask(
    connection: http.client.HTTPConnection, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """One request on a connection that is kept."""
    method = "GET" if body is None else "POST"
    data = None if body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    return response.status, json.loads(response.read()), dict(response.headers)
