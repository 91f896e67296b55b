"""Sealed folders: they contain the sha256 of their files, verified before anything is read."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cllm4rec.errors import IntegrityError
from cllm4rec.run.files import sha256_files, write_json

SEAL = "sha256.json"
FORMAT = 2
AGAIN = "copy or download the folder again"


def seal(folder: Path, *names: str) -> None:
    """Write ``sha256.json`` over the named files and subfolders.

    Other files, such as a README that people edit, may change later.
    """
    content = {"covers": sorted(names), "files": sha256_files(folder, *names)}
    write_json(folder / SEAL, {"format": FORMAT, **content, "sha256": _own_hash(content)})


def is_sealed(folder: Path) -> bool:
    """Whether a folder has a seal, valid or not."""
    return (folder / SEAL).is_file()


def sealed_files(folder: Path, mend: str = AGAIN) -> dict[str, str]:
    """sha256 by name as recorded in the seal; the files are not read.

    Raises:
        IntegrityError: the seal is missing or unreadable.
    """
    return _read(folder / SEAL, mend)[1]


def verify_seal(folder: Path, mend: str = AGAIN) -> dict[str, str]:
    """Refuse a sealed folder in which a file has changed, is missing or was added.

    Args:
        folder: sealed.
        mend: advice for the error message.

    Returns:
        sha256 of every covered file, by relative path.

    Raises:
        IntegrityError: a file differs (names the first), or the seal is missing or unreadable.
    """
    covers, listed = _read(folder / SEAL, mend)
    present = [name for name in covers if (folder / name).exists()]
    found = sha256_files(folder, *present)
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            raise IntegrityError(f"{folder / name} is missing; {mend}")
        if name not in listed:
            raise IntegrityError(f"{folder / name} is not listed in {SEAL}; remove it, or {mend}")
        if found[name] != listed[name]:
            raise IntegrityError(
                f"{folder / name} is not what was saved (its sha256 differs from {SEAL}); {mend}"
            )
    return found


def _own_hash(content: dict[str, Any]) -> str:
    """Checksum of the seal itself: damage to the seal must not be blamed on a file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path, mend: str) -> tuple[list[str], dict[str, str]]:
    try:
        seal: Any = json.loads(path.read_text(encoding="utf-8"))
        number = seal["format"]
        if number == FORMAT:
            covers, files = seal["covers"], seal["files"]
            # Plain names only: an untrusted seal must not point outside its folder.
            if not all(isinstance(x, str) and x == Path(x).name for x in [*covers]):
                raise ValueError
            if not all(isinstance(x, str) for x in files.values()):
                raise ValueError
            if seal["sha256"] != _own_hash({"covers": covers, "files": files}):
                raise ValueError
            return covers, files
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; {mend}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IntegrityError(f"{path} cannot be read; {mend}") from None
    raise IntegrityError(f"{path} has format {number!r}; this version reads {FORMAT}")
