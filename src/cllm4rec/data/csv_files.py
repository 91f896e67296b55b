"""CSV files: their header, their separator, their encoding and their line ends."""

import codecs
import csv
import mmap
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from cllm4rec.data.database import literal
from cllm4rec.errors import InputError

SEPARATORS = (";", "\t", "|")
"""What ``auto`` takes for a separator where a header has no comma."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLOCK_CHARACTERS = 1 << 20
_ANY_END = rb"\r\n|\n|\r"


ENCODING_MEND = {
    True: "make it UTF-8, or name its encoding with --set data.csv_encoding=NAME, such as cp1252",
    False: "make it UTF-8, or write it as the run's data are written",
}
"""What mends an encoding, by whether it can be set: :attr:`InputFile.settable`."""


class Form(NamedTuple):
    """How a CSV file is written.

    Attributes:
        separator: of its columns, one character.
        quotes: whether a value may stand in double quotes; else these are letters.
    """

    separator: str
    quotes: bool = True

    @property
    def quoted(self) -> bytes:
        """Pattern of a value in quotes; a quote further on in a value is a letter like others."""
        if not self.quotes:
            return rb"(?!)"
        before = re.escape(self.separator.encode()[-1:])
        return rb'(?<![^%s\r\n])"(?:[^"]++|"")*+"' % before

    @property
    def options(self) -> str:
        """Those of DuckDB's ``read_csv``."""
        quote = "'\"'" if self.quotes else "''"
        return f"delim={literal(self.separator)}, quote={quote}, escape={quote}"


def as_utf8(path: Path, encoding: str, scratch: Path, *, settable: bool = True) -> Path:
    """The file itself if it is UTF-8, else a copy in UTF-8.

    Args:
        path: the file.
        encoding: as Python names it; ``auto`` is UTF-16 after a byte-order mark, else UTF-8.
        scratch: folder for the copy.
        settable: whether the encoding can be set.

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
            f"{path} is not {encoding} throughout; {ENCODING_MEND[settable]}"
        ) from None
    return Path(name)


def header(
    path: Path, utf8: Path, separator: str, quotes: bool = True, *, settable: bool = True
) -> tuple[list[str], Form]:
    """The names in the first record, without blanks around them, and how the file is written.

    DuckDB's own detection may take another row for the header.

    Args:
        path: the file, for messages.
        utf8: the same in UTF-8.
        separator: one character, or ``auto``: a comma, unless the header has none, but within
            quotes, and has another of :data:`SEPARATORS`.
        quotes: whether values may stand in them.
        settable: whether the separator can be set.

    Raises:
        InputError: there is no header, no CSV in the first line, or one name alone that has another
            separator in it than the one given.
    """
    if separator == "auto":
        names, separator = _detected(path, utf8, quotes)
    else:
        names = _first_record(path, utf8, Form(separator, quotes))
        if len(names) == 1:
            _refuse_separated(path, names[0], separator, settable=settable)
    if not names:
        raise InputError(f"{path} is empty; its first line must name the columns")
    named = [name.strip() or f"column{place}" for place, name in enumerate(names)]
    return named, Form(separator, quotes)


def without_names(names: Sequence[str]) -> str | None:
    """What is wrong with a file whose first record, it seems, is a row; None if it seems not.

    Args:
        names: the first record.
    """
    if len(names) == 1 and "::" in names[0]:
        return (
            "separates its columns by '::', which is not read; write a tab for each '::', and "
            "above all the names of the columns"
        )
    numbers = sum(re.fullmatch(r"-?\d+(\.\d+)?", each) is not None for each in names)
    if numbers and 2 * numbers >= len(names):  # a pivot's year is a name
        return "names no columns: its first line looks like a row; write their names above it"
    return None


def with_one_line_end(utf8: Path, form: Form, scratch: Path) -> Path:
    """The file itself if all its lines end alike, else a copy with line feeds; DuckDB wants one.

    Line ends inside a quoted value are the value's, and stay.

    Args:
        utf8: the file, in UTF-8.
        form: how it is written.
        scratch: folder for the copy.
    """
    if _seem_alike(utf8):
        return utf8
    quoted = form.quoted
    with _mapped(utf8) as data:
        # Matched without a step of Python per line.
        for end in (rb"\r\n", rb"\n", rb"\r(?!\n)"):
            if re.fullmatch(rb'(?:[^"\r\n]++|%s|"|%s)*+' % (quoted, end), data):
                return utf8
        handle, name = tempfile.mkstemp(suffix=".csv", dir=scratch)
        with open(handle, "wb") as copy:
            start = 0
            for match in re.finditer(rb"%s|(\r\n?)" % quoted, data):
                if match[1] is not None:
                    copy.write(data[start : match.start()])
                    copy.write(b"\n")
                    start = match.end()
            copy.write(data[start:])
    return Path(name)


def line_of_record(utf8: Path, form: Form, number: int) -> int:
    """The line, from 1, in which a record begins: a quoted value may go over several.

    Args:
        utf8: the file, in UTF-8, all lines ending alike.
        form: how it is written.
        number: of the record, from 1 for the header; blank lines count.
    """
    lines = 1
    with _mapped(utf8) as data:
        for match in re.finditer(rb"%s|(%s)" % (form.quoted, _ANY_END), data):
            if number == 1:
                break
            lines += len(re.findall(_ANY_END, match[0]))
            number -= match[1] is not None
    return lines


def _seem_alike(path: Path) -> bool:
    """Whether there is one line end in the whole file, quoted values or not."""
    feeds = returns = both = 0
    before = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_CHARACTERS):
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
            both += block.count(b"\r\n") + (before == b"\r" and block[:1] == b"\n")
            before = block[-1:]
    return returns == 0 or feeds == 0 or feeds == returns == both


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _detected(path: Path, utf8: Path, quotes: bool) -> tuple[list[str], str]:
    """The names in the first record, and the separator that it has."""
    no_csv = None
    try:
        names = _first_record(path, utf8, Form(",", quotes))
    except InputError as error:  # what stands behind a quote may be another separator
        names, no_csv = [], error
    for other in SEPARATORS:
        form = Form(other, quotes)
        if len(names) > 1 and not _commas_are_quoted(utf8, form):
            continue
        with suppress(InputError):
            if len(found := _first_record(path, utf8, form)) > 1:
                return found, other
    if no_csv is not None:
        raise no_csv
    return names, ","


def _refuse_separated(path: Path, name: str, separator: str, *, settable: bool) -> None:
    """Refuse a header that another separator divides: its columns would be one of a long name."""
    other = max((",", *SEPARATORS), key=name.count)
    if other not in name:
        return
    # A tab would be printed as a blank; the setting takes this name for it.
    seen, given = ("tab" if each == "\t" else repr(each) for each in (other, separator))
    mend = f"leave that out, or set it to {seen}" if settable else "write it as the run's data are"
    raise InputError(
        f"{path}: the header looks separated by {seen}, and data.csv_separator is {given}; {mend}"
    )


def _commas_are_quoted(utf8: Path, form: Form) -> bool:
    """Whether every comma of the first line stands in a value in quotes."""
    with utf8.open("rb") as file:
        line = file.readline()
    return b"," not in re.sub(form.quoted, b"", line)


def _first_record(path: Path, utf8: Path, form: Form) -> list[str]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if form.quotes else csv.QUOTE_NONE
    try:
        # Bytes that are no UTF-8 are DuckDB's to refuse: it knows their line.
        with utf8.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file, delimiter=form.separator, quoting=quoting, strict=True)
            return next(reader, [])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: line 1 is not CSV ({error})") from None
