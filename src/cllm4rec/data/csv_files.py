"""CSV files: their header, their separator and their encoding."""

import codecs
import csv
import tempfile
from pathlib import Path

from cllm4rec.errors import InputError

SEPARATORS = (";", "\t", "|")
"""What ``auto`` takes for a separator where a header has no comma."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLOCK_CHARACTERS = 1 << 20


def as_utf8(path: Path, encoding: str, scratch: Path) -> Path:
    """The file itself if it is UTF-8, else a copy in UTF-8.

    Args:
        path: the file.
        encoding: as Python names it; ``auto`` is UTF-16 after a byte-order mark, else UTF-8.
        scratch: folder for the copy.

    Raises:
        InputError: the file is not in this encoding.
    """
    if encoding == "auto":
        with path.open("rb") as file:
            encoding = "utf-16" if file.read(2) in _UTF16 else "utf-8"
    if codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}:
        return path
    handle, name = tempfile.mkstemp(suffix=".csv", dir=scratch)
    try:
        with (
            open(handle, "w", encoding="utf-8", newline="") as copy,
            path.open(encoding=encoding, newline="") as file,
        ):
            while block := file.read(_BLOCK_CHARACTERS):
                copy.write(block)
    except UnicodeError:
        raise InputError(
            f"{path} is not {encoding} throughout; name its encoding with "
            f"--set data.csv_encoding=NAME"
        ) from None
    return Path(name)


def header(path: Path, utf8: Path, separator: str) -> tuple[list[str], str]:
    """The names in the first record, and the separator between them.

    DuckDB's own detection may take another row for the header.

    Args:
        path: the file, for messages.
        utf8: the same in UTF-8.
        separator: one character, or ``auto``: a comma, unless the header has none and has another
            of :data:`SEPARATORS`.

    Raises:
        InputError: there is no header, or no CSV in the first line.
    """
    names = _first_record(path, utf8, "," if separator == "auto" else separator)
    if separator == "auto":
        separator = ","
        for other in SEPARATORS if len(names) == 1 else ():
            if len(found := _first_record(path, utf8, other)) > 1:
                names, separator = found, other
                break
    if not names:
        raise InputError(f"{path} is empty; its first line must name the columns")
    return [name or f"column{place}" for place, name in enumerate(names)], separator


def _first_record(path: Path, utf8: Path, separator: str) -> list[str]:
    try:
        # Bytes that are no UTF-8 are DuckDB's to refuse: it knows their line.
        with utf8.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(file, delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: line 1 is not CSV ({error})") from None
