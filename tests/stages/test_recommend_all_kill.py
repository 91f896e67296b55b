"""Real processes: a kill -9 in the middle of batch scoring, and two of them."""

import os
import signal
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
    done_before = {path: path.stat().st_mtime_ns for path in out.glob("_part-*.json")}
    assert 0 < len(done_before) < SHARDS
    assert not (out / "_SUCCESS").exists()
    resumed = forked(said, *command(trained.run, out))
    resumed.join(120)
    assert resumed.exitcode == 0, said.read_text()
    assert files(out) == uninterrupted
    assert all(path.stat().st_mtime_ns == written for path, written in done_before.items())


@pytest.mark.slow
def test_two_processes_leave_what_one_leaves(trained, uninterrupted, tmp_path):
    """As torchrun tells them; it starts them itself where the page on batch scoring is run."""
    out = tmp_path / "out"
    processes = [
        forked(tmp_path / rank, *command(trained.run, out), RANK=rank, WORLD_SIZE="2")
        for rank in ("0", "1")
    ]
    for rank, process in enumerate(processes):
        process.join(120)
        said = (tmp_path / str(rank)).read_text()
        assert process.exitcode == 0, said
        assert f"{rank} of 2" in said
    assert files(out) == uninterrupted
