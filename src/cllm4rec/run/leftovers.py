"""What killed processes left behind: cleaned at the next start, and never anything else."""

import os
import re
import shutil
from pathlib import Path

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<kind>tmp|old|work)-(?P<pid>[1-9][0-9]*)")
"""The names of files that are not whole yet, of folders about to go, and of databases' scratch."""


def clear_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in a folder whose process is gone, or is this one.

    To be called while nobody, this process included, writes there in good order: before a stage
    begins. A folder that a kill caught between its two renames gets its name back.

    Args:
        folder: looked at, not what is below it; need not exist.
        name: of the one file or folder to clean up after; None for all.
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
    """Whether another process has this number."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
