"""Whatever goes wrong: one line and an exit code, or a traceback that is ours to mend."""

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cllm4rec.cli import main
from cllm4rec.errors import IntegrityError, UnknownId


def outcome(monkeypatch, capsys, fault: BaseException) -> tuple[int, str]:
    """Exit code and standard error of `evaluate` when its stage raises ``fault``."""

    def evaluate(*_arguments: object, **_options: object) -> None:
        raise fault

    stage = SimpleNamespace(evaluate=evaluate)
    monkeypatch.setitem(sys.modules, "cllm4rec.stages.evaluate", stage)
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--run", "runs/x", "--json"])
    out, err = capsys.readouterr()
    assert out == ""
    return end.value.code, err


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_a_name_that_is_none_is_one_line(monkeypatch, capsys, number):
    code, err = outcome(monkeypatch, capsys, OSError(number, os.strerror(number), "/a/b"))
    assert code == 2
    assert err == f"error: /a/b: {os.strerror(number).lower()}; choose another path\n"


@pytest.mark.parametrize("kind", [UnknownId, IntegrityError])
def test_what_the_caller_can_mend_is_one_line(monkeypatch, capsys, kind):
    code, err = outcome(monkeypatch, capsys, kind("user 'x\ny' is not in this run;\n  retrain"))
    assert code == 2
    assert err == "error: user 'x y' is not in this run; retrain\n"


def test_a_gpu_without_memory_is_one_line(monkeypatch, capsys):
    import torch

    code, err = outcome(monkeypatch, capsys, torch.OutOfMemoryError("CUDA out of memory.\nTried"))
    assert code == 2
    assert err.startswith("error: the GPU has no memory left; end what else uses it, or compute on")
    assert err.count("\n") == 1


def test_an_interruption_is_one_line_and_130(monkeypatch, capsys):
    code, err = outcome(monkeypatch, capsys, KeyboardInterrupt())
    assert code == 130
    assert err == "interrupted; run the same command again to go on\n"


def test_control_c_ends_a_running_stage():
    program = """
import signal, sys, time, types
# Started in the background of a script, tests inherit a Ctrl-C that is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import cllm4rec.cli
def evaluate(*_, **__):
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60)
sys.modules["cllm4rec.stages.evaluate"] = types.SimpleNamespace(evaluate=evaluate)
cllm4rec.cli.options.ready = lambda *_, **__: None
cllm4rec.cli.main(["evaluate", "--run", "R"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "begun\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (out, err) == ("", "interrupted; run the same command again to go on\n")


@pytest.mark.parametrize(
    ("fault", "folder"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/big/disk/.a.tmp-1"), "/big/disk"),
        (OSError(errno.ENOSPC, "No space left on device"), "runs/x"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "runs/x"),
        (RuntimeError('IO Error: could not write "f": No space left on device'), "runs/x"),
    ],
)
def test_a_full_disk_is_one_line(monkeypatch, capsys, fault, folder):
    code, err = outcome(monkeypatch, capsys, fault)
    assert code == 2
    assert err == f"error: no space left on {folder}; free some or choose another --run\n"


def test_a_forbidden_folder_is_one_line(monkeypatch, capsys):
    fault = PermissionError(errno.EACCES, "Permission denied", "/root/runs")
    code, err = outcome(monkeypatch, capsys, fault)
    assert code == 2
    assert err.startswith("error: /root/runs: permission denied;")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "/a/file"), "/a/file"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/file/b"), "/a/file/b"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/.b.tmp-1", None, "/b"), "/b"),
    ],
)
def test_a_place_that_is_taken_is_one_line(monkeypatch, capsys, fault, place):
    code, err = outcome(monkeypatch, capsys, fault)
    assert code == 2
    assert err == f"error: {place}: {fault.strerror.lower()}; choose another path to write\n"


@pytest.mark.parametrize("fault", [ZeroDivisionError("x"), FileNotFoundError(2, "gone", "f")])
def test_our_own_faults_show_where_they_happened(monkeypatch, capsys, fault):
    code, err = outcome(monkeypatch, capsys, fault)
    assert code == 1
    assert err.startswith("Traceback")
    assert "in evaluate" in err
    assert err.endswith("please report it with the lines above.\n")


def test_so_does_a_program_with_a_broken_library(tmp_path):
    """A process of its own: nothing of the program stands in for itself."""
    (tmp_path / "duckdb.py").write_text("raise ZeroDivisionError('broken')\n")
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,i,1\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = ["prepare", "--data", str(tmp_path), "--run", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "cllm4rec", *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-2:] == [
        "ZeroDivisionError: broken",
        "This is a fault of cllm4rec: please report it with the lines above.",
    ]


def test_a_reader_that_went_away_is_no_fault():
    program = "from cllm4rec.cli import main; main(['--help'])"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_chatter_of_libraries_is_off(monkeypatch, capsys):
    for name in ("TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(name, raising=False)
    outcome(monkeypatch, capsys, KeyboardInterrupt())
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "error"
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"


@pytest.mark.parametrize("fault", [UnknownId("no user"), KeyboardInterrupt(), ZeroDivisionError()])
def test_of_processes_that_train_together_the_first_alone_says_why_all_end(
    monkeypatch, capsys, fault
):
    monkeypatch.setattr("cllm4rec.cli.failures.may_speak", lambda: False)
    code, err = outcome(monkeypatch, capsys, fault)
    assert code != 0
    assert err == ""
