"""Each benchmark is a folder that Python runs, and says what it does before torch is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path.parent for path in (ROOT / "benchmarks").glob("*/__main__.py"))


def test_the_programs_are_these():
    assert [folder.name for folder in PROGRAMS] == [
        "authors",
        "batch",
        "grocer",
        "growth",
        "permuted",
        "processes",
        "profiles",
        "queries",
        "service",
        "short_histories",
        "sizes",
        "speed",
    ]


@pytest.mark.parametrize("folder", PROGRAMS, ids=lambda folder: folder.name)
def test_a_folder_runs_from_anywhere(folder, tmp_path):
    program = f"""
import atexit, runpy, sys
atexit.register(lambda: print("torch" in sys.modules, file=sys.stderr))
sys.argv = ["x", "--help"]
runpy.run_path({str(folder)!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"Usage: benchmarks/{folder.name} " in done.stdout
    assert "--json" in done.stdout
    assert done.stderr == "False\n"


def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "batch"), "--items", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "--items" in done.stderr
    assert done.stderr.count("\n") == 1
