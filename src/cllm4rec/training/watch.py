"""Notices within seconds that one of the training processes has ended, and ends the others.

torchrun ends the processes of its own machine; those of other machines, and those that compute or
wait for a GPU, learn it here: a thread meets its counterparts every second, over connections of
its own, and a killed process closes them.
"""

import os
import select
import shlex
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

EVERY_S = 1.0
"""Seconds between two meetings of the watches."""
GRACE_S = 2.0
"""Seconds in which the main thread may end the process itself."""


class Watch:
    """The watch of one process over the others.

    Args:
        rank: of this process.
        size: number of processes.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._store = store_of_all(is_host=False)  # a connection of its own
        self._ending = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._store.set(f"place/{rank}", f"{socket.gethostname()} {os.getpid()}")
        places = [self._store.get(f"place/{each}").decode().split() for each in range(size)]
        self._places = [(host, int(pid)) for host, pid in places]

    def start(self) -> None:
        """Begin; SIGTERM ends all processes from now on."""
        signal.signal(signal.SIGTERM, self._hear)
        # Wakes the thread while this one is inside a collective, where Python runs no handler.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread.start()

    def stop(self) -> None:
        """End, once every process is about to."""
        self._ending = True
        os.write(self._write, b"\0")
        self._thread.join()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def is_first_to_speak(self) -> bool:
        """Whether no other process has said why all end."""
        try:
            return int(self._store.add("spoken", 1)) == 1
        except RuntimeError:  # the machine that kept the count is gone
            return True

    def who_ended(self) -> str:
        """One line: which process has ended, and how to go on."""
        host = socket.gethostname()
        for _ in range(20):  # its connections close a moment before it is gone
            gone = [
                (rank, pid)
                for rank, (where, pid) in enumerate(self._places)
                if where == host and rank != self.rank and not _is_alive(pid)
            ]
            if gone:
                rank, pid = gone[0]
                what = f"training process {rank} of {self.size} (pid {pid} on {host}) has ended"
                break
            time.sleep(0.05)
        else:
            others = sorted({where for where, _ in self._places} - {host})
            what = f"a training process has ended on {' or '.join(others) or host}"
            if self._stopped:
                what = "training was stopped from outside (SIGTERM)"
        return f"{what}; all were ended. To go on: {command()}"

    def _hear(self, _signal: int, _frame: FrameType | None) -> None:
        """The signal wakes the thread, which acts."""

    def _run(self) -> None:
        try:
            while True:
                if select.select([self._read], [], [], EVERY_S)[0]:
                    self._stopped |= signal.SIGTERM in os.read(self._read, 1024)
                    if self._stopped:
                        return self._end()
                ending = torch.tensor([int(self._ending)])
                dist.all_reduce(ending)
                if int(ending) == self.size:
                    return None
        except RuntimeError:
            return self._end()

    def _end(self) -> None:
        line = self.who_ended()
        if self.is_first_to_speak():
            print(f"error: {line}", file=sys.stderr, flush=True)
        else:
            time.sleep(GRACE_S)  # the main thread may be the one that speaks
        os._exit(1)


def store_of_all(*, is_host: bool) -> Any:
    """A connection to the store at ``MASTER_ADDR:MASTER_PORT``, which torchrun keeps.

    Args:
        is_host: whether this process keeps it where torchrun does not.
    """
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    given: Any = dist
    store = given.TCPStore(address, port, is_master=is_host and not is_kept, wait_for_workers=False)
    # torchrun starts processes anew (--max-restarts) with the store of those that have ended.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return given.PrefixStore(f"cllm4rec/{attempt}", store)


def command() -> str:
    """The command that resumes this training."""
    if int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1:
        return "the same torchrun command on every machine"
    number = os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))
    given = shlex.join(sys.argv[1:])
    return f"torchrun --nproc-per-node {number} -m -- cllm4rec {given}"


def _is_alive(pid: int) -> bool:
    """Whether a process of this machine is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return not Path("/proc/self").exists() and _answers(pid)
    except (OSError, IndexError):
        return True
    return state not in "ZX"


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
