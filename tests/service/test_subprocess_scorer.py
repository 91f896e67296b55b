"""The same scores from a process of its own, and a clear end whichever side goes first."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.recommender.intact import seal_model
from cllm4rec.service import subprocess_scorer
from cllm4rec.service.served import ModelHolder
from cllm4rec.service.subprocess_scorer import (
    ScorerGone,
    ScoringProcess,
    _give_back,
    _read,
    _serve,
    _write,
)


@pytest.fixture(scope="module")
def apart(run):
    process = ScoringProcess(run)
    yield process
    process.close()
    assert not process.alive


def test_its_scores_are_the_models_own(apart, holder):
    served = holder.current
    rows = [[1, 2, 3], [], [7], list(range(20))]
    histories = Interactions.from_lists(rows, len(served.catalogue.items))
    users = np.array([-1, 3, 0, 5], np.int32)
    np.testing.assert_allclose(
        apart.score(users, histories), served.scorer.score(users, histories), rtol=1e-5, atol=1e-6
    )
    assert apart.frame == served.frame
    for counted in (1, 30):
        np.testing.assert_allclose(
            apart.counting(counted).score(users, histories),
            served.scorer.counting(counted).score(users, histories),
            rtol=1e-5,
            atol=1e-6,
        )
    assert served.tokens(histories.counts()).tolist() == [served.frame + len(row) for row in rows]


@pytest.mark.parametrize(("idle_s", "busy_s"), [(0.05, 60.0), (60.0, 0.0)])
def test_memory_is_given_back_when_idle_and_when_long_at_work(
    run, holder, monkeypatch, idle_s, busy_s
):
    given = threading.Semaphore(0)
    monkeypatch.setattr(subprocess_scorer, "_give_back", given.release)
    monkeypatch.setattr(subprocess_scorer, "_IDLE_S", idle_s)
    monkeypatch.setattr(subprocess_scorer, "_BUSY_S", busy_s)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    with served_here(run) as (to, answers):
        assert "frame" in json.loads(_read(answers))
        assert not given.acquire(timeout=0.3)  # nothing was done yet
        for part in (
            np.array([-1], np.int32),
            np.array([0, 1], np.int64),
            np.array([1], np.int32),
            np.array([], np.int64),
        ):
            _write(to, part.tobytes())
        to.flush()
        assert _read(answers) == b""
        assert len(_read(answers)) == 4 * len(holder.current.catalogue.items)
        assert given.acquire(timeout=10)
        assert not given.acquire(timeout=0.3)  # once


@contextmanager
def served_here(run):
    """The scoring loop in a thread; what is written to it, and what it answers."""
    (theirs, ours), (answers, going) = os.pipe(), os.pipe()
    with os.fdopen(theirs, "rb") as coming, os.fdopen(going, "wb") as out:
        loop = threading.Thread(target=ends_quietly, args=(run, coming, out))
        loop.start()
        with os.fdopen(answers, "rb") as found:
            with os.fdopen(ours, "wb") as to:
                yield to, found
            loop.join()


def ends_quietly(*args) -> None:
    with suppress(ScorerGone):
        _serve(*args)


def test_free_memory_goes_back_to_the_machine():
    kept = [bytearray(10_000) for _ in range(20_000)]  # small enough to stay with the process
    last = kept[-1]
    del kept
    full = resident_mb()
    _give_back()
    assert resident_mb() < full - 100
    assert last


def resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def test_a_fault_of_one_question_is_no_end(apart, holder):
    num_items = len(holder.current.catalogue.items)
    wrong = Interactions(np.array([0, 1]), np.array([num_items + 5], np.int32), num_items)
    nobody = np.array([-1], np.int32)
    with pytest.raises(RuntimeError, match="item number"):
        apart.score(nobody, wrong)
    assert apart.alive
    assert apart.score(nobody, Interactions.from_lists([[1]], num_items)).shape == (1, num_items)


def test_a_process_that_has_ended_says_so(run, holder):
    process = ScoringProcess(run)
    os.kill(process._process.pid, signal.SIGKILL)
    histories = Interactions.from_lists([[1]], len(holder.current.catalogue.items))
    with pytest.raises(ScorerGone):
        process.score(np.array([-1], np.int32), histories)
    assert not process.alive
    process.close()


def test_a_model_that_cannot_be_loaded_is_named(run, tmp_path):
    broken = shutil.copytree(run, tmp_path / "run")
    (broken / "model" / "model.safetensors").write_bytes(b"")
    (broken / "model" / "sha256.json").unlink()
    seal_model(broken / "model")  # its seal would speak first
    with pytest.raises(InputError, match="cannot be loaded"):
        ModelHolder(broken).load()
    with pytest.raises(InputError, match="cannot be loaded"):
        ModelHolder(broken, subprocess=True).load()
    with pytest.raises(InputError, match="cannot be loaded: SafetensorError"):
        ScoringProcess(broken)
    (broken / "model" / "model.json").unlink()
    with pytest.raises(InputError, match="no trained model"):
        ModelHolder(broken, subprocess=True).load()


def test_a_process_that_ends_while_it_warms_up_leaves_the_old_model(run, monkeypatch):
    holder = ModelHolder(run, subprocess=True)
    before = holder.load()
    warm_up = holder._warm_up

    def killed(served):
        os.kill(served.scorer._process.pid, signal.SIGKILL)
        warm_up(served)

    told = []
    monkeypatch.setattr(holder, "_warm_up", killed)
    monkeypatch.setattr(holder, "on_load", told.append)
    with pytest.raises(InputError, match="cannot be loaded: its process ended"):
        holder.load()
    assert told == [False]
    assert holder.ready
    assert holder.current is before
    holder.close()


def test_a_process_that_nobody_asks_any_more_ends(run):
    process = ScoringProcess(run)
    inner, pipe = process._process, process._from
    del process
    gc.collect()
    assert inner.ended(within_s=8)  # by itself: it would be killed after ten seconds
    until_s = time.monotonic() + 10
    while not pipe.closed:
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_the_process_that_takes_requests_loads_no_torch_nor_what_draws_the_map():
    program = (
        "import sys, cllm4rec.service.server, cllm4rec.service.app, cllm4rec.cli.serve; "
        "print({'torch', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_killed_process_is_no_zombie_though_nobody_asks(run):
    process = ScoringProcess(run)
    status = Path(f"/proc/{process._process.pid}/stat")
    os.kill(process._process.pid, signal.SIGKILL)
    until_s = time.monotonic() + 10
    while status.exists():
        assert time.monotonic() < until_s, status.read_text()
        time.sleep(0.01)
    # Reaped by another thread, which may not have noted it yet.
    while process.alive:
        assert time.monotonic() < until_s
