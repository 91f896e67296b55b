"""Ctrl-C while libraries are loaded or DuckDB works: real signals to real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cllm4rec.data.database import one_number, open_database
from cllm4rec.interrupts import interruptible, termination
from support.input_folder import small_log, write_rows

PREPARE = """
import signal, sys
# Started in the background of a script, tests inherit a Ctrl-C that is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from cllm4rec.cli import main
from cllm4rec.data import database, ingest
number = ingest.number_entities
def slowly(connection, **options):
    number(connection, **options)
    print("begun", file=sys.stderr, flush=True)
    query = "SELECT count(*) FROM range(100000) a, range(30000) b WHERE (a.range * b.range) % 7 = 3"
    list(database.stream(connection, query))
ingest.number_entities = slowly
main(["prepare", "--data", sys.argv[1], "--run", sys.argv[2]])
"""
"""A query of some twenty seconds, in which DuckDB does not look for signals itself."""


MODULE = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("cllm4rec", run_name="__main__")
"""

LIBRARY = """
import sys, time
print("begun", file=sys.stderr, flush=True)
try:
    for _ in range(300):  # a signal that comes just before a sleep is heard after it
        time.sleep(0.1)
except KeyboardInterrupt:
    {then}
"""


def interrupted(
    program: str,
    *arguments: object,
    path: Path,
    after_s: float = 0.0,
    by: signal.Signals = signal.SIGINT,
) -> None:
    """Run it and send a signal after it has said that it has begun: it ends as it should."""
    paths = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        while (line := running.stderr.readline()) != "begun\n":
            assert line, "it has ended"
        time.sleep(after_s)
        running.send_signal(by)
        try:
            _, said = running.communicate(timeout=30)
        finally:
            running.kill()
    assert said == "interrupted; run the same command again to go on\n"
    assert running.returncode == 128 + by


BACKGROUND = PREPARE.replace("signal.default_int_handler", "signal.SIG_IGN")
"""As a script starts it behind ``&``."""


@pytest.mark.parametrize(
    ("program", "by"),
    [
        (PREPARE, signal.SIGINT),
        (PREPARE, signal.SIGTERM),
        (BACKGROUND, signal.SIGTERM),
    ],
)
def test_a_query_is_ended_at_once_and_leaves_nothing(tmp_path, program, by):
    write_rows(tmp_path / "in", "interactions", small_log(12, 10, 6))
    # Half a second later it is within the query.
    interrupted(program, tmp_path / "in", tmp_path / "run", path=tmp_path, after_s=0.5, by=by)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("library", "then"),
    [("click", "raise"), ("duckdb", "raise"), ("duckdb", "raise ImportError('numpy') from None")],
)
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_library_is_loaded_is_no_fault(tmp_path, library, then, by):
    """What is written in C may make another error of it."""
    (tmp_path / f"{library}.py").write_text(LIBRARY.format(then=then))
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,i,1\n")
    given = ["prepare", "--data", tmp_path, "--run", tmp_path / "run"]
    interrupted(MODULE, *given, path=tmp_path, by=by)
    assert not (tmp_path / "run").exists()


def test_a_block_that_ends_by_itself_leaves_the_signal_as_it_was(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    threads = threading.active_count()
    with open_database(tmp_path, "64MB") as connection:
        assert one_number(connection, "SELECT 7") == 7
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads


def test_an_error_without_control_c_stays_what_it_is():
    with_python = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(ZeroDivisionError), interruptible(lambda: None):
            _ = 1 / 0
    finally:
        signal.signal(signal.SIGINT, with_python)


def test_a_signal_that_somebody_else_handles_is_left_to_them():
    heard: list[int] = []
    with_python = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with interruptible(lambda: heard.append(-1)):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.3)
    finally:
        signal.signal(signal.SIGINT, with_python)
    assert heard == [signal.SIGINT]


def test_of_two_processes_that_train_together_nobody_handles_the_end(monkeypatch):
    """`training.watch` does, as soon as they have met."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with termination():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        monkeypatch.setenv("WORLD_SIZE", "2")
        with termination():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_end_of_a_program_that_handles_it_is_left_to_it():
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with termination(), interruptible(lambda: heard.append(-1)):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.3)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_another_thread_prepares_too(tmp_path: Path):
    found: list[int] = []

    def prepare() -> None:
        with open_database(tmp_path, "64MB") as connection:
            found.append(one_number(connection, "SELECT 7"))

    thread = threading.Thread(target=prepare)
    thread.start()
    thread.join()
    assert found == [7]
