"""What is dear to make is made once in a session of tests, whatever the number of workers.

Runs are trained by the first worker that asks; each worker then works in a copy of its own, so that
a lock that one takes, or a file that one changes, is none of the other's business. Nothing outlives
the session: it cannot be out of date.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` filled, in this worker or in another; to be read only."""
    base = factory.getbasetemp()
    # pytest-xdist gives each worker a folder in the session's.
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = session / "made-once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        done = folder.with_suffix(".done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed on the way
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def own_copy(factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A copy of such a folder for this worker; times of files are kept."""
    return Path(shutil.copytree(folder, factory.mktemp(folder.name) / "copy"))
