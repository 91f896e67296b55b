"""Finding the files of the input: a log by itself, or a folder with it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cllm4rec import progress
from cllm4rec.data import other_formats
from cllm4rec.errors import InputError

ENDINGS = ("parquet", "csv", "jsonl")
FOLDERS = (".parquet", "")
"""How folders of partitions end."""
LOG = "interactions"
"""Stem of the files that are one log."""
STEMS = ("items", "users", "reviews")
"""Files of an input directory beside its log."""
MOST_NAMED = 8
"""Files that a note names."""

_BLANK_BYTES = 4096


def find_file(folder: Path, stem: str) -> Path | None:
    """The one file ``stem.{parquet,csv,jsonl}`` of the input directory, or folder of partitions.

    The folder is called ``stem`` or ``stem.parquet``, as `partitions` describes it.

    Raises:
        InputError: there are several.
    """
    found = [path for end in ENDINGS if (path := folder / f"{stem}.{end}").is_file()]
    found += [path for end in FOLDERS if (path := folder / f"{stem}{end}").is_dir()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder} has both {names}; keep one of them")
    return found[0] if found else None


def is_log(source: Path) -> bool:
    """Whether the input is a log by itself: a file, or a folder ``*.parquet`` of partitions."""
    return source.is_file() or (source.is_dir() and source.suffix == ".parquet")


def find_log(folder: Path) -> list[Path]:
    """All files of interactions, which are one log.

    Of an input directory ``interactions.*``, then ``interactions-*.*``. Each may be a folder of
    partitions. Of several a file with nothing in it is left out: so the service's feedback is until
    the first comes.

    Args:
        folder: the input directory, or a log by itself.

    Raises:
        InputError: there is none.
    """
    if is_log(folder):
        return [folder]
    if not folder.is_dir():
        raise InputError(
            f"nothing at {folder}; --data needs a log that ends in .parquet, .csv or .jsonl, or a "
            f"folder with {LOG}.parquet, .csv or .jsonl in it"
        )
    found = [path for end in ENDINGS if (path := folder / f"{LOG}.{end}").exists()]
    found += [path for path in [folder / LOG] if path.is_dir()]
    found += sorted(
        path
        for path in folder.glob(f"{LOG}-*")
        if path.suffix.removeprefix(".") in ENDINGS or (path.is_dir() and not path.suffix)
    )
    if not found:
        mend = other_formats.instead_of(folder, LOG, ENDINGS)
        raise InputError(f"{folder} has no {LOG}.parquet, {LOG}.csv or {LOG}.jsonl; {mend}")
    return [path for path in found if not _is_blank(path)] or found[:1]


def note_unread(folder: Path, log: Sequence[Path], others: Iterable[Path | None]) -> None:
    """Name files that are called like a log's and are none of them, nor empty, and other data.

    Args:
        folder: the input directory.
        log: from `find_log`.
        others: what else is read; None for what is not there.
    """
    alike = {path for path in folder.iterdir() if _is_called_alike(path)}
    named = {*folder.glob(f"{LOG}-*"), *folder.glob(f"{LOG}.*"), *alike} - set(log)
    unread = sorted(path.name for path in named if not _is_blank(path))
    if unread:
        progress.note(
            f"not read: {', '.join(unread)}; files of one log are called {LOG}-NAME and end in "
            f".parquet, .csv or .jsonl"
        )
    read = {path.resolve() for path in (*log, *others) if path is not None}
    left = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower().removeprefix(".") in ENDINGS
        and path.is_file()
        and path not in named
        and path.stem != "split"  # of another call, for all one can know
        and path.resolve() not in read
    )
    if left:
        some = ", ".join(left[:MOST_NAMED]) + ", …" * (len(left) > MOST_NAMED)
        progress.note(
            f"not read: {some}; beside the log only items, users and reviews are, called so in "
            f"small letters, such as items.csv"
        )


def note_beside(log: Path) -> None:
    """Name the files beside a log given by itself that are read where a folder is given."""
    others = [log.with_name(f"{stem}.{end}") for stem in STEMS for end in ENDINGS]
    if beside := [path.name for path in others if path.is_file() and path != log]:
        progress.note(
            f"not read: {', '.join(beside)} beside {log.name}; to have them read, give the folder, "
            f"with the log in it called {LOG}{log.suffix}"
        )


def _is_called_alike(path: Path) -> bool:
    """Whether a file of data is called nearly as those of a log: ``Interaction_late.csv``."""
    ending = path.suffix.lower().removeprefix(".")
    return path.stem.casefold().startswith(LOG.removesuffix("s")) and ending in ENDINGS


def _is_blank(path: Path) -> bool:
    """Whether nothing but blanks is in a text file."""
    if path.suffix == ".parquet" or path.is_dir() or path.stat().st_size > _BLANK_BYTES:
        return False
    return not path.read_bytes().strip()
