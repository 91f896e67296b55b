"""Removal of leftovers of killed processes at the next start."""

import os
import re
import shutil
from pathlib import Path

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<kind>tmp|old|work)-(?P<pid>[1-9][0-9]*)")
"""Names of temporary files, of folders being replaced, and of DuckDB's scratch."""


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
