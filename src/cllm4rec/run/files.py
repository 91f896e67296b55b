"""Files that appear under their final name only when they are whole, and their hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cllm4rec.errors import InputError, IntegrityError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it when the block ends well.

    The block must create the file. (``np.save`` appends ``.npy`` to a path without that ending:
    give it an open file.) On any exception, Ctrl-C included, nothing is left and an older file
    stays.

    Yields:
        ``.<name>.tmp-<pid>`` in the same folder, which is made where it is absent.

    Raises:
        InputError: the folder cannot be made.
    """
    make_folder(path.parent)
    temporary = _beside(path, "tmp")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        _readable(temporary)
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As :func:`atomic_write` for a folder; the block fills the empty folder it is given.

    Yields:
        the new, empty folder ``.<name>.tmp-<pid>`` beside ``path``.
    """
    path = path.resolve()  # a link stays, what it names is replaced; and "." has a name
    make_folder(path.parent)
    temporary, old = _beside(path, "tmp"), _beside(path, "old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for written in files_of(temporary):
            _readable(written)
            _flush(written)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        # A folder cannot be replaced in one step: between the two renames the old one has no name.
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
    _flush(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are absent.

    Raises:
        InputError: the file system has no place for it (``/proc``), or its name is none.
        OSError: for the reasons that the command line puts into words.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise InputError(f"{path} cannot be made there; choose another path to write") from None


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(folder: Path, *names: str) -> dict[str, str]:
    """sha256 of files of a folder by their paths in it, sorted; a folder stands for all in it."""
    paths = [found for name in names for found in files_of(folder / name)]
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(set(paths))}


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file this program wrote.

    Raises:
        IntegrityError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; run the stage that writes it again") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path} is not JSON ({error}); run its stage again") from None


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}")


def files_of(path: Path) -> list[Path]:
    """The file itself, or every file in the folder, sorted."""
    if path.is_dir():
        return sorted(found for found in path.rglob("*") if found.is_file())
    return [path]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_MODE = 0o666 & ~_umask()
"""What a new file may be; asked for once, because asking changes it for a moment."""


def _readable(path: Path) -> None:
    """Give a file the rights of any new one: safetensors leaves its files to their owner alone."""
    path.chmod(_MODE)


def _flush(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
