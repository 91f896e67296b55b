"""What scoring processes are forked from: only without threads, and replaced when killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cllm4rec.service import preloaded
from cllm4rec.service.preloaded import Preloaded, Started, can_be_forked
from cllm4rec.service.subprocess_scorer import ScoringProcess

LOADS_NOTHING = "from cllm4rec.service import preloaded; preloaded.LOADED = (); "
SCORER = "import os, sys; print(sys.argv[1], os.getcwd(), flush=True); sys.stdin.read()"


@pytest.fixture
def anew(monkeypatch) -> Iterator[Preloaded]:
    """One that has threads, so that every scoring process is a program of its own."""
    threads = "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start(); "
    scorer = f"preloaded._SCORER = {SCORER!r}; "
    program = LOADS_NOTHING + scorer + threads + "preloaded.main()"
    monkeypatch.setattr(preloaded, "_PROGRAM", program)
    made = Preloaded()
    yield made
    made.close()


def program_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def preloaded_of(started: Started) -> int:
    return int(Path(f"/proc/{started.pid}/stat").read_text().rpartition(")")[2].split()[1])


def close(*processes: Started) -> None:
    for each in processes:
        each.to.close()
        assert each.ended(within_s=30)
        each.answers.close()


def test_a_scoring_process_is_forked_from_one_that_has_loaded_everything(run):
    first, second = ScoringProcess(run), ScoringProcess(run)
    for each in (first, second):
        assert "preloaded" in program_of(each._process.pid), "it has loaded everything by itself"
    template = preloaded_of(first._process)
    assert template == preloaded_of(second._process)
    assert len(os.listdir(f"/proc/{template}/task")) == 1
    first.close()
    second.close()


def test_what_has_threads_is_not_forked():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert not can_be_forked()
    done.set()
    thread.join()


def test_beside_threads_a_scoring_process_is_a_program_of_its_own(anew, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = anew.start(Path("a run"))
    assert started.answers.readline().decode() == f"a run {tmp_path}\n"
    assert "preloaded" not in program_of(started.pid)
    close(started)


def test_a_killed_one_is_replaced_and_what_it_started_goes_on(anew, tmp_path):
    before = anew.start(tmp_path)
    os.kill(preloaded_of(before), signal.SIGKILL)
    after = anew.start(tmp_path)
    assert not before.ended()
    assert not after.ended()
    assert before.answers.readline()
    assert after.answers.readline()
    close(before, after)


def test_it_ends_with_the_service(anew, tmp_path):
    started = anew.start(tmp_path)
    template = Path(f"/proc/{preloaded_of(started)}")
    close(started)
    assert template.exists()
    anew.close()
    until_s = time.monotonic() + 30
    while template.exists():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_a_signal_to_the_whole_group_ends_neither(anew, tmp_path):
    started = anew.start(tmp_path)
    assert started.answers.readline()
    template = preloaded_of(started)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(template, number)
    again = anew.start(tmp_path)
    assert preloaded_of(again) == template
    close(started, again)


def test_whether_it_has_ended_is_asked_while_another_thread_waits_for_its_end():
    life, held = os.pipe()
    with open(os.devnull, "wb") as to, open(os.devnull, "rb") as answers:
        process = Started(os.getpid(), to, answers, life)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(process.ended, 30)
            until_s = time.monotonic() + 0.2
            while time.monotonic() < until_s:
                assert not process.ended()
            os.close(held)
            assert waiting.result()
        assert process.ended()
