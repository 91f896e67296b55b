"""The model in a process of its own: scoring and the requests' bookkeeping need not take turns.

In one process they would: a forward pass is hundreds of short calls, and after each of them the
scoring thread has to get the interpreter back from the event loop. Under many requests that made a
pass several times as long. The two processes speak through pipes, in lengths and plain arrays; the
scoring one ends when its pipe does, however the other one went.
"""

import ctypes
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import CLLM4RecError, InputError

_LENGTH = struct.Struct("<Q")
_PROGRAM = "from cllm4rec.service.apart import main; main()"
_END_S = 10.0
_PREPARED = "128"
"""Products that the library keeps prepared: more than in training (``cli``), for requests come in
all lengths. With 64 a pass of up to sixteen histories took 21 ms, with 128 it takes 17."""
_IDLE_S, _BUSY_S = 1.0, 60.0
"""Free memory goes back to the machine after so long without a request, or so long at work."""


class ScorerGone(Exception):
    """The scoring process has ended."""


class ScoringProcess:
    """A :class:`cllm4rec.ranking.Scorer` whose model lives elsewhere.

    Args:
        run: the run, or saved folder, to load.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(self, run: Path) -> None:
        self._lock = threading.Lock()
        self._gone = False
        # A session of its own: Ctrl-C is for the service, which then ends this in good order.
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": _PREPARED},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        # Whenever it ends, somebody waits for it: none stays as a zombie.
        threading.Thread(target=self._process.wait, name="scorer's end", daemon=True).start()
        try:
            hello = json.loads(_read(self._from))
        except ScorerGone:
            self.close()
            raise InputError(f"the model in {run} cannot be loaded: its process ended") from None
        if "error" in hello:
            self.close()
            raise InputError(hello["error"])
        self.frame: int = hello["frame"]
        """Tokens of a document besides its items."""

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return not self._gone and self._process.poll() is None

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``, as the model's own scorer gives them.

        Raises:
            ScorerGone: the process has ended.
            RuntimeError: the model could not score this.
        """
        with self._lock:
            try:
                for array, kind in (
                    (users, np.int32),
                    (history.offsets, np.int64),
                    (history.items, np.int32),
                ):
                    _write(self._to, np.ascontiguousarray(array, kind).tobytes())
                self._to.flush()
                fault = _read(self._from)
                scores = _read(self._from)
            except (OSError, ScorerGone):
                # Its pipe ends a moment before the process is seen to have ended.
                self._gone = True
                raise ScorerGone("the scoring process has ended") from None
        if fault:
            raise RuntimeError(fault.decode())
        return np.frombuffer(scores, np.float32).reshape(len(users), history.num_items)

    def close(self) -> None:
        """End the process when what it does now is done."""
        with self._lock:
            _end(self._process)

    def __del__(self) -> None:
        # The last request that asked this model is done; nobody has to wait for its end.
        process = getattr(self, "_process", None)
        if process is None or self._from.closed:
            return
        if sys.is_finalizing():
            _close(process)  # no thread can begin any more, and the process ends with its pipe
        else:
            threading.Thread(target=_end, args=(process,), daemon=True).start()


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what it did not take before it ended by itself
                pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    _close(process)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """The scoring process: load the run that is named, then score what comes in."""
    # Whoever ends the service ends its process group too; this one goes when its pipe is closed.
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    coming, going = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    try:
        _serve(Path(sys.argv[1]), coming, going)
    except (ScorerGone, BrokenPipeError):
        # Nobody is left to tell anything; flushing the broken pipe would only complain.
        os._exit(0)


def _serve(run: Path, coming: IO[bytes], going: IO[bytes]) -> None:
    import torch

    from cllm4rec.models.device import serving_threads
    from cllm4rec.recommender.saved import Recommender

    try:
        recommender = Recommender.load(run)
    except CLLM4RecError as error:
        _answer(going, json.dumps({"error": " ".join(str(error).split())}).encode())
        return
    except Exception as error:
        # A library's word for a broken file; the service says it in its answer, not in a traceback.
        reason = f"the model in {run} cannot be loaded: {type(error).__name__}"
        _answer(going, json.dumps({"error": reason}).encode())
        return
    space = recommender.scorer.task.space
    torch.set_num_threads(serving_threads())
    # A full collection looks at every object of torch: a tenth of a second, in some request's time.
    gc.collect()
    gc.freeze()
    _answer(going, json.dumps({"frame": frame_of(recommender)}).encode())
    given_back_s, used = time.monotonic(), False
    while True:
        if used and (time.monotonic() - given_back_s > _BUSY_S or not _comes(coming, _IDLE_S)):
            _give_back()
            given_back_s, used = time.monotonic(), False
        users = np.frombuffer(_read(coming), np.int32)
        offsets = np.frombuffer(_read(coming), np.int64)
        items = np.frombuffer(_read(coming), np.int32)
        fault, scores = b"", b""
        try:
            histories = Interactions(offsets, items, space.num_items)
            scores = recommender.scorer.score(users, histories).astype(np.float32).tobytes()
        except Exception as error:
            fault = f"{type(error).__name__}: {error}".encode()
        _answer(going, fault, scores)
        used = True


def _comes(source: IO[bytes], within_s: float) -> bool:
    """Whether a request begins; the one before was read to its end, so that no buffer hides it."""
    return bool(select.select([source], [], [], within_s)[0])


def _give_back() -> None:
    """Return free memory to the machine: 20 ms.

    What passes of all sizes leave between each other is free and still counts as the process's:
    without this a loaded service grew by a tenth in ten minutes.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU library has it
    if trim is not None:
        trim(0)


def frame_of(recommender: Any) -> int:
    """Tokens of a document besides its items."""
    prompts = recommender.scorer.task.prompts
    nothing = np.empty(0, np.int32)
    return len(prompts.recommendation.fill(user=np.zeros(1, np.int32), items=nothing))


def _answer(to: IO[bytes], *parts: bytes) -> None:
    for part in parts:
        _write(to, part)
    to.flush()


def _write(to: IO[bytes], part: bytes) -> None:
    to.write(_LENGTH.pack(len(part)))
    to.write(part)


def _read(source: IO[bytes]) -> bytes:
    """The next part.

    Raises:
        ScorerGone: the other side has closed the pipe.
    """
    head = source.read(_LENGTH.size)
    if len(head) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        part = source.read(length)
        if len(part) == length:
            return part
    raise ScorerGone("the scoring process has ended")
