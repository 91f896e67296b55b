"""Files that are not read for their format or name: what they are, and the mend."""

from collections.abc import Sequence
from pathlib import Path

from cllm4rec.errors import InputError

_BEGINNINGS = {
    b"\x1f\x8b": "a gzip file; unpack it",
    b"BZh91AY&SY": "a bzip2 file; unpack it",
    b"\xfd7zXZ\x00": "an xz file; unpack it",
    b"\x28\xb5\x2f\xfd": "a Zstandard file; unpack it",
    b"PK\x03\x04": "a zip or .xlsx file; unpack it, or save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an .xls file; save its sheet as CSV",
}
"""First bytes of a file, which no text has → what it is, and the mend."""
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".tgz", ".rar")
_SHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
_TABLES = (".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".parquet", ".jsonl", ".json")
_MOST_NAMED = 8


def refuse_other_format(path: Path) -> None:
    """Refuse a file that is packed or a spreadsheet, whatever its name says.

    Raises:
        InputError: it is, by its first bytes.
    """
    with path.open("rb") as file:
        begins = file.read(max(map(len, _BEGINNINGS)))
    for beginning, what in _BEGINNINGS.items():
        if begins.startswith(beginning):
            raise InputError(f"{path} is {what}")


def instead_of(folder: Path, stem: str, endings: Sequence[str]) -> str:
    """What to do where a folder has no file ``stem.*``, by what it has.

    Args:
        folder: the input directory.
        stem: of the file that is missing.
        endings: that it may have.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    called = [name for name in names if name.lower().startswith(stem)]
    for name in called:
        ending = Path(name).suffix.lower()
        if ending.removeprefix(".") in endings:
            return f"rename {name} to {stem}{ending}"
    for name in called:
        if name.lower().endswith(_PACKED):
            return f"unpack {name}"
        if name.lower().endswith(_SHEETS):
            return f"save {name} as {stem}.csv"
    if called:
        return f"save {called[0]} as {stem}.csv"
    tables = [name for name in names if name.lower().endswith((*_TABLES, *_PACKED, *_SHEETS))]
    if not tables:
        return "add one"
    some = ", ".join(tables[:_MOST_NAMED]) + ", …" * (len(tables) > _MOST_NAMED)
    return f"if it is one of {some}, rename it to {stem}.csv or the like; else add one"
