"""Two processes that prepare one new folder at once: one does it, the other leaves it alone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cllm4rec.run import RunDir
from support.input_folder import small_log, write_rows

WAITING = """
import sys
from cllm4rec.cli import main
from cllm4rec.data import ingest
from cllm4rec.run import run
where, name = (run, "run_around") if sys.argv[1] == "before" else (ingest, "refuse_input")
called = getattr(where, name)
def after_a_word(*given):
    setattr(where, name, called)
    print("begun", file=sys.stderr, flush=True)  # what is printed is a result
    sys.stdin.readline()
    return called(*given)
setattr(where, name, after_a_word)
main(["prepare", "--data", sys.argv[2], "--run", sys.argv[3], "--json"])
"""


@contextmanager
def waiting(where: str, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that waits before it makes the run, or once it is at work in it."""
    program = [sys.executable, "-c", WAITING, where, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, text=True, **pipes) as process:
        try:
            assert process.stderr.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate("go on\n", timeout=30)[1]
    return process.returncode, said


@pytest.mark.parametrize("is_there", [False, True])
def test_the_second_leaves_what_the_first_made(tmp_path, is_there):
    source, run = tmp_path / "in", tmp_path / "new" / "run"
    write_rows(source, "interactions", small_log(12, 10, 6))
    if is_there:
        run.mkdir(parents=True)
    with ExitStack() as stack:
        second = stack.enter_context(waiting("before", source, run))
        first = stack.enter_context(waiting("at work", source, run))
        code, said = ended(second)
        assert (code, said.count("\n")) == (2, 1)
        assert f"another process is at work in {run}" in said
        assert (run / "manifest.json").is_file()
        code, said = ended(first)
        assert code == 0, said
    RunDir(run).require("prepare")
