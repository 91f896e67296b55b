"""What a process says when another has ended; killed ones are in several_processes."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from cllm4rec.training.watch import Watch, command

ALONE = """
import os, sys, time
from datetime import timedelta
import torch.distributed as dist
from cllm4rec.training.watch import Watch, store_of_all
# Kept as torchrun keeps it, which chooses the port by listening: one that is looked for first and
# let go may be another process's by then.
kept = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(kept.port)}
os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
store = store_of_all(is_host=True)
dist.init_process_group("gloo", store=store, rank=0, world_size=1, timeout=timedelta(seconds=60))
watch = Watch(0, 1)
watch.start()
print("watching", flush=True)
if sys.argv[1] == "stop":
    watch.stop()
else:
    time.sleep(60)
print("ended by itself", flush=True)
"""


def started(how: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = process.stdout.readline()
    assert begun == "watching\n", process.communicate(timeout=30)[1]
    return process


def test_stopped_from_outside_it_says_so_and_ends_at_once():
    process = started("wait")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: training was stopped from outside (SIGTERM); all were ended. ")


def test_a_watch_ends_with_the_training():
    with started("stop") as process:
        # Not `communicate`: what came together with the first line is in the file's buffer.
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, out, err) == (0, "ended by itself\n", "")


@pytest.fixture
def ended() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def watch(places: list[tuple[str, int]]) -> Watch:
    """The first process's, without its connections."""
    found = Watch.__new__(Watch)
    found.rank, found.size, found._stopped, found._places = 0, len(places), False, places
    return found


def test_who_has_ended_is_named(ended):
    here = socket.gethostname()
    line = watch([(here, os.getpid()), (here, os.getpid()), (here, ended)]).who_ended()
    assert line.startswith(f"training process 2 of 3 (pid {ended} on {here}) has ended; ")


def test_of_another_machine_only_its_name_is_known(ended):
    here = socket.gethostname()
    line = watch([(here, os.getpid()), ("elsewhere", ended)]).who_ended()
    assert line.startswith("a training process has ended on elsewhere; ")


def test_the_command_is_the_one_that_was_given(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "train", "--run", "a run", "--set", "seed=1"])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "1")
    wanted = "torchrun --nproc-per-node 4 -m -- cllm4rec train --run 'a run' --set seed=1"
    assert command() == wanted
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    assert command() == "the same torchrun command on every machine"
