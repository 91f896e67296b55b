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
        # A connection of its own to what torchrun, or the first process, keeps for all.
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store = dist.TCPStore(address, port, is_master=False)  # type: ignore[attr-defined]
        self._attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._ending = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._store.set(self._key("place", rank), f"{socket.gethostname()} {os.getpid()}")
        places = [
            self._store.get(self._key("place", each)).decode().split() for each in range(size)
        ]
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
            return int(self._store.add(self._key("spoken"), 1)) == 1
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

    def _key(self, *names: str | int) -> str:
        return "/".join(["cllm4rec", self._attempt, *map(str, names)])

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
