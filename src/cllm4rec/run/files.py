"""Atomic writing of files and folders, and their hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cllm4rec.errors import InputError, IntegrityError, unusable_place


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path, renamed to ``path`` when the block succeeds.

    The block must create the file. (Give ``np.save`` an open file: it appends ``.npy`` to other
    paths.) On any exception, Ctrl-C included, the temporary file is removed and an existing file
    stays.

    Yields:
        ``.<name>.tmp-<pid>`` in the same folder, which is created if needed.

    Raises:
        InputError: the folder or the file cannot be created.
    """
    make_folder(path.parent)
    temporary = _beside(path, "tmp")
    with _possible(path):
        temporary.touch()
    temporary.unlink()
    try:
        yield temporary
        _readable(temporary)
        flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like :func:`atomic_write`, for a folder; the block fills it.

    Yields:
        The new, empty folder ``.<name>.tmp-<pid>`` beside ``path``.

    Raises:
        InputError: the folder cannot be created.
    """
    path = path.resolve()  # follow links, so that their target is replaced; gives "." a name
    make_folder(path.parent)
    temporary, old = _beside(path, "tmp"), _beside(path, "old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    with _possible(path):
        temporary.mkdir()
    try:
        yield temporary
        for written in files_of(temporary):
            _readable(written)
            flush(written)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        # Replacing a folder takes two renames; in between, the old one has a temporary name.
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
    flush(path.parent)


def make_folder(path: Path, option: str = "") -> None:
    """Create a folder and its parents if needed.

    Args:
        path: of the folder.
        option: by which it was given, for the error.

    Raises:
        InputError: the path is a file, or below one, or no folder can be made there.
        OSError: other failures, such as a full disk.
    """
    with _possible(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            named = f"{option} {path}".strip()
            raise InputError(f"{named} is not a folder; choose another path") from None


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(folder: Path, *names: str) -> dict[str, str]:
    """sha256 of files by relative path, sorted; a subfolder stands for all its files."""
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


@contextmanager
def _possible(path: Path) -> Iterator[None]:
    """Say in one line that a path cannot be made, as in ``/proc`` or another user's folder."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} cannot be made there; choose another path to write") from None
    except OSError as error:
        line = unusable_place(error)
        if line is None:
            raise
        raise InputError(line) from None


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
"""Permissions of new files; computed once, because reading the umask changes it for a moment."""


def _readable(path: Path) -> None:
    """Set default permissions: safetensors makes its files readable by the owner only."""
    path.chmod(_MODE)


def flush(path: Path) -> None:
    """Flush a file to disk, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
