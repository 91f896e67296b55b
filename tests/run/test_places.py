"""Nothing is written inside a run but by its stages."""

import errno
import json
import os
from pathlib import Path

import pytest

from cllm4rec.data.histories import read_histories
from cllm4rec.downloads import fetch_wheel
from cllm4rec.errors import InputError, unusable_place
from cllm4rec.run import (
    RunDir,
    atomic_folder,
    atomic_write,
    make_folder,
    refuse_inside_run,
    seal,
)
from cllm4rec.service.feedback import FeedbackLog


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir(tmp_path / "run").create()


@pytest.mark.parametrize("place", [".", "data/users.parquet", "new", "new/deeper", "data/../x"])
def test_a_place_inside_a_run_is_refused(run, place):
    with pytest.raises(InputError, match=r"--out .* the run .*choose a path outside it"):
        refuse_inside_run(run.file(place), "--out")


def test_a_link_into_a_run_is_refused(run, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("run")
    (tmp_path / "file").symlink_to(run.file("not", "there"))
    monkeypatch.chdir(tmp_path)
    for place in ("link/lists.parquet", "file", "./run/x"):
        with pytest.raises(InputError, match="lies in the run"):
            refuse_inside_run(tmp_path.__class__(place), "--out")


def test_a_saved_model_is_refused_too(tmp_path):
    saved = tmp_path / "saved"
    (saved / "model").mkdir(parents=True)
    (saved / "model" / "model.json").touch()
    seal(saved, "model")
    with pytest.raises(InputError, match="lies in the saved model"):
        refuse_inside_run(saved / "model" / "x", "--out")


def test_other_places_are_not_refused(run, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text(json.dumps({"name": "a web page"}))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_bytes(b"\xff")
    for place in ("lists", "site/lists", "odd/lists", "runs/x", "run.parquet"):
        refuse_inside_run(tmp_path / place, "--out")


def test_a_run_is_not_made_inside_another(run):
    with pytest.raises(InputError, match=r"(lies in|is) the run"):
        RunDir(run.file("data", "inner")).create()
    assert set(os.listdir(run.path)) == {".lock", "manifest.json"}
    run.create()


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(InputError, match="--run is empty"):
        RunDir("")


def test_a_lock_that_is_no_file_is_one_line(run):
    run.file(".lock").unlink()
    run.file(".lock").symlink_to(run.file("nowhere"))
    with pytest.raises(InputError, match=r"\.lock cannot be locked .*; remove it"), run.lock():
        pass


@pytest.mark.parametrize("below", ["x", "x/y"])
def test_where_no_folder_can_be_made_is_one_line(below):
    with pytest.raises(InputError, match=r"/proc/x.* cannot be made there"):
        RunDir(f"/proc/{below}").create()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: make_folder(path / "file" / "below"), "file/below is not a folder; choose"),
        (lambda path: make_folder(path / "file", "--out"), "^--out .*file is not a folder; choose"),
        (lambda path: make_folder(path / ("n" * 300)), "file name too long; choose another path"),
        (lambda path: read_histories(path, None, path / "file" / "below", "1GB"), "not a folder"),
        (lambda path: FeedbackLog(path / "file"), "cannot write feedback to .*; give --feedback"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, make, message):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=message) as refused:
        make(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="wheels is not a folder; choose another path"):
        fetch_wheel("nothing==1", "0")


@pytest.mark.parametrize("writing", [atomic_write, atomic_folder])
def test_where_nothing_can_be_written_is_one_line(writing):
    with pytest.raises(InputError, match=r"/proc/x cannot be made there"), writing(Path("/proc/x")):
        pytest.fail("the block is not reached")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_lock_on_a_disk_that_is_read_only_is_no_file_to_remove(run, monkeypatch, number):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number), str(run.file(".lock")))

    monkeypatch.setattr("cllm4rec.run.run.FileLock.acquire", refuse)
    with pytest.raises(OSError, match=r"\.lock") as raised, run.lock():
        pass
    assert "choose another place" in unusable_place(raised.value)
    assert ("change its rights" in unusable_place(raised.value)) == (number == errno.EACCES)


def test_a_lock_on_a_full_disk_is_no_file_to_remove(run, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run.file(".lock")))

    monkeypatch.setattr("cllm4rec.run.run.FileLock.acquire", full)
    with pytest.raises(OSError, match="No space left"), run.lock():
        pass
