"""Scoring processes start at once: forked from one that has loaded what they need.

Loading torch and transformers takes four seconds of a processor. One process does it once, then
only forks: a reload, and a scoring process in place of one that was killed, take none of that, and
their libraries are in memory once. It ends with the service; the next start replaces a killed one.

A process with threads, or with a GPU's driver, must not be forked. Where it has any, and elsewhere
than on Linux, what it forked loads everything anew, as a program of its own.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from select import POLLHUP, POLLIN, poll
from typing import IO, Any
from weakref import finalize

from cllm4rec.errors import InputError

LOADED = (
    "cllm4rec.recommender.saved",
    "cllm4rec.recommender.queries",
    "cllm4rec.service.subprocess_scorer",
    "transformers.models.llama.modeling_llama",
)
"""Loaded before the first fork; another family's code needs little that Llama's does not."""
_PROGRAM = "from cllm4rec.service.preloaded import main; main()"
_SCORER = "from cllm4rec.service.subprocess_scorer import main; main()"
_ENVIRONMENT = {
    # oneDNN primitives kept in its cache: more than in training (``cli``), since requests come in
    # all lengths. A pass of up to sixteen histories took 21 ms with 64, and takes 17 ms with 128.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
    # No threads as soon as numpy and pyarrow are loaded. The scorer gives OpenBLAS some later.
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
_STDERR = 2
_DRIVERS = ("/libcuda.so", "/libamdhip", "/libze_")
"""Of GPUs: what they have begun does not outlive a fork."""


class Started:
    """A scoring process.

    Args:
        pid: its number.
        to: what it reads.
        answers: what it writes.
        life: a pipe whose other end the process alone holds: it hangs up when that ends.
    """

    def __init__(self, pid: int, to: IO[bytes], answers: IO[bytes], life: int) -> None:
        self.pid, self.to, self.answers = pid, to, answers
        finalize(self, os.close, life)
        self._life = life

    def ended(self, within_s: float = 0.0) -> bool:
        """Whether the process has ended, or does so in time; several threads may ask at once."""
        watch = poll()  # not select, which knows the first thousand files only; of this call alone
        watch.register(self._life, POLLIN | POLLHUP)
        return bool(watch.poll(1000 * within_s))

    def kill(self) -> None:
        """End it at once."""
        if not self.ended():  # else its number may be another's
            os.kill(self.pid, signal.SIGKILL)


class Preloaded:
    """The process that is forked, from outside: made when first needed, and after it was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def start(self, run: Path, instead: Path | None = None) -> Started:
        """Start a scoring process for a run, or saved folder.

        Args:
            run: of either.
            instead: where readings of words are kept if the run cannot be written.

        Raises:
            InputError: no process can be started.
        """
        (coming, to), (answers, going), (life, held) = os.pipe(), os.pipe(), os.pipe()
        try:
            with self._lock:
                pid = self._ask(run, instead, [coming, going, _STDERR, held])
        except BaseException:
            for end in (to, answers, life):
                os.close(end)
            raise
        finally:
            for end in (coming, going, held):
                os.close(end)
        return Started(pid, os.fdopen(to, "wb"), os.fdopen(answers, "rb"), life)

    def close(self) -> None:
        """End the process that is forked; what was started goes on."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None

    def _ask(self, run: Path, instead: Path | None, ends: Sequence[int]) -> int:
        """The number of a new process: its standard files, and what it holds, are ``ends``."""
        given = [str(run)] if instead is None else [str(run), str(instead)]
        asked = {"given": given, "folder": os.getcwd(), "environment": dict(os.environ)}
        for _ in range(2):
            control = self._control or _begun()
            try:
                socket.send_fds(control, [json.dumps(asked).encode() + b"\0"], ends)
                self._control = control
                return int(_received(control)[0])
            except (OSError, EOFError):  # it was killed
                control.close()
                self._control = None
        raise InputError(f"the model in {run} cannot be loaded: no process can be started")


def _begun() -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        # A session of its own: Ctrl-C is for the service, which then ends this in good order.
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT},
        )
    # Whenever it ends, somebody waits for it: none stays as a zombie.
    threading.Thread(target=process.wait, name="preloaded's end", daemon=True).start()
    return ours


def _received(control: socket.socket) -> tuple[bytes, list[int]]:
    """The next message, and the files that came with it.

    Raises:
        EOFError: the other side has ended.
    """
    text, files = b"", list[int]()
    while not text.endswith(b"\0"):
        part, some, _, _ = socket.recv_fds(control, 1 << 16, 4)
        if not part:
            raise EOFError
        text, files = text + part, files + some
    return text[:-1], files


def main() -> None:
    """The preloaded process: load, then fork whenever told to on standard input."""
    # Signals to the service may reach its whole group; this ends when its socket is closed.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies; the service sees their pipes close
    control = socket.socket(fileno=sys.stdin.fileno())
    if sys.platform == "linux":
        gc.disable()  # it would go through all of torch, again and again
        for name in LOADED:
            import_module(name)
        gc.freeze()  # nor will it write to pages that the processes share
    try:
        while True:
            text, ends = _received(control)
            here = can_be_forked()
            if not (pid := os.fork()):
                control.detach()
                _score(json.loads(text), ends, here=here)
            for end in ends:
                os.close(end)
            control.sendall(b"%d\0" % pid)
    except (EOFError, OSError):
        os._exit(0)  # the service has ended


def can_be_forked() -> bool:
    """Whether a process forked from this one may go on with what this one has loaded."""
    if sys.platform != "linux" or len(os.listdir("/proc/self/task")) > 1:
        return False
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return not any(driver in mapped for driver in _DRIVERS)


def _score(asked: dict[str, Any], ends: Sequence[int], *, here: bool) -> None:
    """The forked process becomes a scoring process."""
    status = 1
    try:
        *standard, held = ends
        for number, end in enumerate(standard):
            os.dup2(end, number)
            os.close(end)
        os.chdir(asked["folder"])
        os.environ.update(asked["environment"] | _ENVIRONMENT)
        if not here:
            os.set_inheritable(held, True)
            program = [sys.executable, "-W", "ignore", "-c", _SCORER, *asked["given"]]
            os.execv(sys.executable, program)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.enable()
        sys.argv = ["-c", *asked["given"]]
        import_module("cllm4rec.service.subprocess_scorer").main()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
