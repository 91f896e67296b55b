"""A scorer in a subprocess, so that scoring and the event loop do not compete for the interpreter.

A forward pass is hundreds of short calls. In one process the scoring thread would wait for the
interpreter lock after each of them; under many requests a pass took several times as long. The
processes exchange length-prefixed plain arrays through pipes. The scoring process ends when its
pipe closes, even if the service was killed.
"""

import atexit
import ctypes
import gc
import json
import os
import select
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import CLLM4RecError, InputError
from cllm4rec.ranking import Scorer
from cllm4rec.service.preloaded import Preloaded, Started

_LENGTH = struct.Struct("<Q")
_END_S = 10.0
_IDLE_S, _BUSY_S = 1.0, 60.0
"""Free memory is returned to the system after so long without a request, or so long at work."""


_PRELOADED = Preloaded()
"""Scoring processes of this one are forked from it."""
atexit.register(_PRELOADED.close)


class ScorerGone(Exception):
    """The scoring process has ended."""


@dataclass(frozen=True, slots=True, eq=False)
class _Counting:
    """What `ScoringProcess.counting` returns."""

    process: "ScoringProcess"
    items: int

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        return self.process.score(users, history, self.items)


class ScoringProcess:
    """A :class:`cllm4rec.ranking.Scorer` whose model runs in a subprocess.

    Args:
        run: the run, or saved folder, to load.
        instead: where readings of words are kept if the run cannot be written.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(self, run: Path, instead: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._process = _PRELOADED.start(run, instead)
        self._to, self._from = self._process.to, self._process.answers
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
        """Whether the process is running."""
        return not self._gone and not self._process.ended()

    def counting(self, items: int) -> Scorer:
        """The same scorer, for which every history counts as one of so many items."""
        return _Counting(self, items)

    def score(
        self, users: NDArray[np.int32], history: Interactions, counted: int | None = None
    ) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``, as the model's own scorer gives them.

        Args:
            users: user numbers, ``[batch]``.
            history: known items, one row per entry of ``users``.
            counted: of `counting`.

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
                    ([] if counted is None else [counted], np.int64),
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
        """End the process once its current request is done."""
        with self._lock:
            _end(self._process)

    def __del__(self) -> None:
        # The last request to this model is done; do not block on the end of its process.
        process = getattr(self, "_process", None)
        if process is None or self._from.closed:
            return
        if sys.is_finalizing():
            _close(process)  # no new thread can start now; the process ends with its pipe
        else:
            threading.Thread(target=_end, args=(process,), daemon=True).start()


def _close(process: Started) -> None:
    for pipe in (process.to, process.answers):
        with suppress(OSError):  # unsent data, if it ended by itself
            pipe.close()


def _end(process: Started) -> None:
    _close(process)
    if not process.ended(_END_S):
        process.kill()


def main() -> None:
    """The scoring process: load the run given as argument, then answer requests.

    A second argument is the folder for readings of words, if the run cannot be written.
    """
    # Signals to the service may reach its whole group; this process ends when its pipe is closed.
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    coming, going = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    try:
        run, *instead = map(Path, sys.argv[1:])
        _serve(run, coming, going, *instead)
    except (ScorerGone, BrokenPipeError):
        # The service is gone; flushing the broken pipe at exit would only print an error.
        os._exit(0)


def _serve(run: Path, coming: IO[bytes], going: IO[bytes], instead: Path | None = None) -> None:
    import torch
    from threadpoolctl import threadpool_limits

    from cllm4rec.models.device import serving_threads
    from cllm4rec.recommender.queries import Queries
    from cllm4rec.recommender.saved import Recommender

    try:
        recommender = Recommender.load(run)
        if Queries.kept(run):  # here, so that no query waits and the service never loads torch
            Queries.read(run, instead=instead).prepare()
    except CLLM4RecError as error:
        _answer(going, json.dumps({"error": " ".join(str(error).split())}).encode())
        return
    except Exception as error:
        # A library's error about a broken file: the service reports it in one line, no traceback.
        reason = f"the model in {run} cannot be loaded: {type(error).__name__}"
        _answer(going, json.dumps({"error": reason}).encode())
        return
    space = recommender.scorer.task.space
    torch.set_num_threads(serving_threads())
    threadpool_limits(serving_threads(), user_api="blas")
    # A full garbage collection visits every object of torch: 0.1 s in the middle of some request.
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
        counted = np.frombuffer(_read(coming), np.int64)
        fault, scores = b"", b""
        try:
            histories = Interactions(offsets, items, space.num_items)
            scorer = recommender.scorer
            if len(counted):
                scorer = scorer.counting(int(counted[0]))
            scores = scorer.score(users, histories).astype(np.float32).tobytes()
        except Exception as error:
            fault = f"{type(error).__name__}: {error}".encode()
        _answer(going, fault, scores)
        used = True


def _comes(source: IO[bytes], within_s: float) -> bool:
    """Whether a request arrives; the previous one was read to its end, so none sits in a buffer."""
    return bool(select.select([source], [], [], within_s)[0])


def _give_back() -> None:
    """Return free memory to the system; takes 20 ms.

    Passes of all sizes fragment the heap: without this a loaded service grew by a tenth in ten
    minutes.
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
