"""Which items were added to a trained model: immutable folders, and a pointer that is swapped last.

    RUN/added/
      current.json    the folder in force, and the model that it was made for
      HASH/           what was added; named after its files, sealed, never changed

A kill at any time leaves the old pointer or the new one. Without a pointer nothing is added.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cllm4rec.errors import IntegrityError
from cllm4rec.run.files import atomic_folder, flush, read_json, sha256_files, write_json
from cllm4rec.run.leftovers import clear_leftovers
from cllm4rec.run.seal import seal, verify_seal

FOLDER, POINTER = "added", "current.json"
FORMAT = 1
MEND = "run `cllm4rec remove-items --all`, then add the items again"


@dataclass(frozen=True, slots=True)
class Current:
    """What is added just now.

    Attributes:
        path: of the folder in force.
        model: hash of the model that it was made for.
    """

    path: Path
    model: str

    @classmethod
    def read(cls, run: Path) -> "Current | None":
        """The pointer of a run, or saved folder; None where nothing is added.

        Raises:
            IntegrityError: the pointer is none.
        """
        pointer = run / FOLDER / POINTER
        if not pointer.is_file():
            return None
        found = read_json(pointer)
        try:
            name, model = found["folder"], found["model"]
            if found["format"] != FORMAT or name != Path(name).name:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise IntegrityError(f"{pointer} is no pointer to added items; {MEND}") from None
        return cls(run / FOLDER / name, str(model))

    def verify(self) -> None:
        """Refuse a folder that is not what was written.

        Raises:
            IntegrityError: names the first file that has changed or is missing.
        """
        verify_seal(self.path, MEND)


@contextmanager
def replaced(run: Path, model: str) -> Iterator[Path]:
    """Yield an empty folder to fill; it is in force once the block has succeeded.

    Args:
        run: of the model; the caller holds its lock.
        model: its hash.
    """
    parent = run / FOLDER
    clear_leftovers(parent)
    with atomic_folder(parent / "new") as folder:
        yield folder
        hashes = sha256_files(folder, ".")
        seal(folder, *(path.name for path in folder.iterdir()))
    name = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]
    if (parent / name).exists():
        shutil.rmtree(parent / "new")
    else:
        os.replace(parent / "new", parent / name)
    write_json(parent / POINTER, {"format": FORMAT, "folder": name, "model": model})
    _keep_only(parent, name)


@contextmanager
def put_back_at_failure(run: Path) -> Iterator[None]:
    """Where the block fails, what was added before it is in force again.

    Putting it back takes no space, for a full disk may be why the block failed.

    Args:
        run: as of `replaced`.

    Raises:
        OSError: what was added cannot be kept for that; the block is not begun.
    """
    parent = run / FOLDER
    before = parent.with_name(f".{FOLDER}.old-{os.getpid()}")  # if killed, cleared with the run's
    shutil.rmtree(before, ignore_errors=True)
    try:
        if parent.is_dir():
            shutil.copytree(parent, before, copy_function=_linked)
        try:
            yield
        except BaseException:
            _put_back(run, before)
            raise
    finally:
        shutil.rmtree(before, ignore_errors=True)


def remove_all(run: Path) -> None:
    """Remove whatever was added: the pointer first; the caller holds the run's lock."""
    parent = run / FOLDER
    if not parent.is_dir():
        return
    (parent / POINTER).unlink(missing_ok=True)
    flush(parent)
    shutil.rmtree(parent, ignore_errors=True)


def _put_back(run: Path, before: Path) -> None:
    """By renaming alone; the pointer last."""
    parent = run / FOLDER
    if not before.is_dir():
        remove_all(run)
        return
    if not parent.is_dir():
        os.replace(before, parent)
        return
    names = [path.name for path in before.iterdir() if path.is_dir()]
    for name in names:
        if not (parent / name).is_dir():
            os.replace(before / name, parent / name)
    if (before / POINTER).is_file():
        os.replace(before / POINTER, parent / POINTER)
    else:
        (parent / POINTER).unlink(missing_ok=True)
    flush(parent)
    _keep_only(parent, *names)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # not every file system has links
        shutil.copy2(source, target)


def _keep_only(parent: Path, *names: str) -> None:
    for path in parent.iterdir():
        if path.is_dir() and path.name not in names:
            shutil.rmtree(path, ignore_errors=True)
