"""Where a result cannot be put, or not as it is: no traceback, and no result lost."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from cllm4rec.cli import main
from cllm4rec.run import RunDir
from support.input_folder import small_log, write_rows

RESULT = {"rows": [{"model": "Amélie 😀", "items": 3}] * 3000}
PROGRAM = f"""
import sys, types
stage = types.SimpleNamespace(evaluate=lambda *_, **__: {RESULT!r})
sys.modules["cllm4rec.stages.evaluate"] = stage
from cllm4rec.cli import main, options
options.ready = lambda *_, **__: None
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


@pytest.mark.parametrize("name", ["recommend", "train", "evaluate", "export", "serve"])
def test_an_empty_path_is_not_the_current_folder(capsys, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, name, "--run", "", *(["--to", "x"] if name == "export" else []))
    assert "'--run': the path is empty" in message


@pytest.mark.parametrize("place", ["/proc/x", "a" * 300])
def test_a_place_where_nothing_can_be_made(capsys, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "in", "interactions", small_log(3, 12, 12))
    assert place in refused(capsys, "prepare", "--data", "in", "--run", place)
    assert place in refused(capsys, "data", "planted-world", "--to", place)
    assert place in refused(capsys, "train", "--run", place)


def test_files_that_are_there_are_not_replaced(capsys, tmp_path):
    (tmp_path / "items.parquet").write_text("mine")
    assert "is not empty" in refused(capsys, "data", "planted-world", "--to", tmp_path)
    assert (tmp_path / "items.parquet").read_text() == "mine"


def test_nothing_is_put_into_a_run(capsys, tmp_path):
    run = RunDir(tmp_path / "run").create()
    for place in (run.path, run.file("data")):
        assert f"the run {run.path}" in refused(capsys, "data", "planted-world", "--to", place)
    for place in (run.file("data"), run.file("feedback", "..", "model")):
        given = ["--run", run.path, "--feedback", place]
        assert f"the run {run.path}" in refused(capsys, "serve", *given)
    assert set(os.listdir(run.path)) == {".lock", "manifest.json"}


@pytest.mark.parametrize("option", ["--out", "--to", "--run"])
def test_a_full_disk_is_blamed_on_what_is_written(capsys, monkeypatch, option):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    module = ModuleType("a stage")
    for name in ("recommend", "recommend_all", "export_run", "evaluate"):
        monkeypatch.setattr(module, name, full, raising=False)
    for name in ("stages.recommend", "stages.recommend_all", "export", "stages.evaluate"):
        monkeypatch.setitem(sys.modules, f"cllm4rec.{name}", module)
    given = {
        "--out": ["recommend", "--run", "R", "--users", "u", "--out", "full/F.parquet"],
        "--to": ["export", "--run", "R", "--to", "full/F.parquet"],
        "--run": ["evaluate", "--run", "full/F.parquet"],
    }[option]
    message = refused(capsys, *given)
    assert message == (
        f"error: no space left on full/F.parquet; free some or choose another {option}\n"
    )


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 16 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("not allowed to mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(capsys, small_disk):
    message = refused(capsys, "data", "planted-world", "--to", small_disk / "to")
    assert f"no space left on {small_disk / 'to'}" in message
    assert message.endswith("choose another --to\n")


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
