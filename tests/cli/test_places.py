"""Where a result cannot be put, or not as it is: no traceback, and no result lost."""

import json
import os
import subprocess
import sys

import pytest

from cllm4rec.cli import main

RESULT = {"rows": [{"model": "Amélie 😀", "items": 3}] * 3000}
PROGRAM = f"""
import sys, types
stage = types.SimpleNamespace(evaluate=lambda *_, **__: {RESULT!r})
sys.modules["cllm4rec.stages.evaluate"] = stage
from cllm4rec.cli import main
main(["evaluate", "--run", "R", *sys.argv[1:]])
"""
FORMS = pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])


def refused(capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1), err
    return err


def test_a_file_where_a_folder_is_to_be(capsys, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("something of mine")
    for to in (taken, taken / "below"):
        assert f"error: {taken}" in refused(capsys, "data", "planted-world", "--to", to)
    assert taken.read_text() == "something of mine"


@pytest.mark.parametrize("to", [".", "..", "/"])
def test_a_folder_that_cannot_be_replaced(capsys, to):
    message = refused(capsys, "export", "--run", "R", "--to", to)
    assert f"{to} cannot be replaced as a whole; name a folder in it" in message


@FORMS
def test_a_reader_that_goes_away_is_no_fault(form):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *form], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@FORMS
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_the_terminal_has_no_letters_for_is_still_printed(form, encoding):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *form],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    if form:
        assert json.loads(shown) == RESULT
    else:
        known = "Amélie 😀".encode(encoding, "replace").decode(encoding)
        assert shown.count(known) == 3000
