"""Real processes: a kill -9 in the middle of batch scoring, and torchrun on two of them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cllm4rec.run import RunDir
from support.forked import forked

SHARDS = 20


def command(run: RunDir, out: Path) -> list[str]:
    given = ["recommend", "--run", run.path, "--all", "--k", 5, "--out", out, "--shard-users", 20]
    return list(map(str, given))


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def uninterrupted(trained, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    done = forked(folder / "said", *command(trained.run, folder / "out"))
    done.join(120)
    said = (folder / "said").read_text()
    assert done.exitcode == 0, said
    assert "yes" in said
    return files(folder / "out")


@pytest.mark.slow
def test_killed_and_resumed_scoring_gives_the_same_bytes(trained, uninterrupted, tmp_path):
    out, said = tmp_path / "out", tmp_path / "said"
    process = forked(said, *command(trained.run, out))
    while len(list(out.glob("*.json"))) < SHARDS // 3 and process.is_alive():
        time.sleep(0.0005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    done_before = {path: path.stat().st_mtime_ns for path in out.glob("part-*.json")}
    assert 0 < len(done_before) < SHARDS
    assert not (out / "_SUCCESS").exists()
    resumed = forked(said, *command(trained.run, out))
    resumed.join(120)
    assert resumed.exitcode == 0, said.read_text()
    assert files(out) == uninterrupted
    assert all(path.stat().st_mtime_ns == written for path, written in done_before.items())


@pytest.mark.slow
def test_two_processes_of_torchrun_leave_what_one_leaves(trained, uninterrupted, tmp_path):
    # A script, since torchrun takes no -c; after `--`, since it would take our --run for its own.
    script = tmp_path / "main.py"
    script.write_text("from cllm4rec.cli import main\n\nmain()\n")
    out = tmp_path / "out"
    torchrun = [shutil.which("torchrun", path=str(Path(sys.executable).parent)) or "torchrun"]
    torchrun += ["--standalone", "--nproc-per-node", "2", "--"]
    done = subprocess.run(
        [*torchrun, script, *command(trained.run, out)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"0 of 2" in done.stdout
    assert b"1 of 2" in done.stdout
    assert files(out) == uninterrupted
