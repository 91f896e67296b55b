"""Removal of what killed processes left, at the next start, and of a run that was never made."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<kind>tmp|old|work)-(?P<pid>[1-9][0-9]*)")
"""Names of temporary files, of folders being replaced, and of DuckDB's scratch."""


@contextmanager
def gone_at_failure(run: Path) -> Iterator[None]:
    """Where the block fails, a run that it began is gone.

    Args:
        run: its folder, locked by this process. One that holds a run already stays as it is, and so
            does one that the block has written more into: it is a run, to go on with.
    """
    before = set(os.listdir(run)) - {".lock"}
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something is in the way
            begun = set(os.listdir(run)) - before
            if "manifest.json" in begun <= {"manifest.json", ".lock"}:
                for name in begun:
                    (run / name).unlink()
        raise


@contextmanager
def folders_gone_at_failure(folder: Path) -> Iterator[None]:
    """Where the block fails, a folder that it made is gone, and those around it, if empty."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):  # nothing was made, or something is in it
            for each in made:
                each.rmdir()
        raise


def clear_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in a folder whose process has ended or is this one.

    Call it only while this process writes nothing there: before a stage begins. A folder caught
    between its two renames gets its name back.

    Args:
        folder: to clean, not recursively; need not exist.
        name: clean up only after this file or folder; None for all.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        found = _LEFT.fullmatch(path.name)
        if found is None or (name is not None and found["name"] != name):
            continue
        if _is_at_work(int(found["pid"])):
            continue
        replaced = path.with_name(found["name"])
        if found["kind"] == "old" and not replaced.exists():
            os.replace(path, replaced)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_at_work(pid: int) -> bool:
    """Whether another process has this id."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's process
        return True
    return True
