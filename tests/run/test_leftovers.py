"""What killed processes left is cleaned, and nothing else is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cllm4rec.run import RunDir, atomic_folder, clear_leftovers

KILLED = """
import os, signal, sys
from pathlib import Path
from cllm4rec.run import atomic_folder, atomic_write
target = Path(sys.argv[1])
if sys.argv[2] == "file":
    with atomic_write(target) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
replace = os.replace
def renamed(source, to):
    if sys.argv[2] == "between" and str(source).endswith(str(os.getpid())):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, to)
os.replace = renamed
with atomic_folder(target) as temporary:
    (temporary / "new").write_text("half")
    if sys.argv[2] == "folder":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(target: Path, when: str) -> None:
    """Write ``target`` in a process that is killed meanwhile."""
    done = subprocess.run([sys.executable, "-c", KILLED, target, when])
    assert done.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("when", ["file", "folder"])
def test_what_a_killed_process_left_is_removed(tmp_path, when):
    killed(tmp_path / "finetune", when)
    assert len(names(tmp_path)) == 1
    clear_leftovers(tmp_path, "another")
    assert len(names(tmp_path)) == 1
    clear_leftovers(tmp_path, "finetune")
    assert names(tmp_path) == []


def test_a_folder_killed_between_its_names_gets_the_old_one_back(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    killed(tmp_path / "model", "between")
    assert not (tmp_path / "model").exists()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["old"]


def test_a_process_at_work_is_left_alone(tmp_path):
    left = tmp_path / f".model.tmp-{os.getppid()}"
    left.touch()
    clear_leftovers(tmp_path)
    assert left.exists()


NOT_OURS = (
    *(".model.tmp-12ab", ".model.tmp-", ".model.tmp-0", "model.tmp-999999999", ".tmp-999999999"),
    *(".model.tmp-999999999.bak", ".model.swp-999999999", ".gitignore", ".lock", "..tmp-999999999"),
)


def test_what_is_not_ours_stays(tmp_path):
    for name in NOT_OURS:
        (tmp_path / name).write_text("mine")
    clear_leftovers(tmp_path)
    assert names(tmp_path) == sorted(NOT_OURS)


def test_a_link_is_removed_and_not_what_it_names(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / ".model.tmp-999999999").symlink_to("mine")
    clear_leftovers(tmp_path)
    assert names(tmp_path) == ["mine"]
    assert names(tmp_path / "mine") == ["file"]


def test_a_stage_cleans_its_run_first_and_only_once(tmp_path):
    run = RunDir(tmp_path / "run").create()
    for place in ("", "checkpoints", "pretrained", "topk"):
        killed(run.file(place, "finetune"), "folder")
    killed(run.file("page", "map"), "file")  # the service's, which may be at work elsewhere
    with run.lock(), atomic_folder(run.file("model")) as own, run.lock():
        assert own.is_dir()
    left = [path.parent.name for path in run.path.rglob("*.tmp-*")]
    assert left == ["page"]
