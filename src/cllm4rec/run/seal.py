"""A folder that travels: the hashes of its files in it, verified before anything is read."""

import json
from pathlib import Path
from typing import Any

from cllm4rec.errors import IntegrityError
from cllm4rec.run.files import sha256_files, write_json

SEAL = "sha256.json"
FORMAT = 1


def seal(folder: Path, *names: str) -> None:
    """Write ``sha256.json`` over these files and folders of a folder.

    What is not named, such as a page that people edit, can change later.
    """
    write_json(
        folder / SEAL,
        {"format": FORMAT, "covers": sorted(names), "files": sha256_files(folder, *names)},
    )


def is_sealed(folder: Path) -> bool:
    """Whether a folder has a seal, right or wrong."""
    return (folder / SEAL).is_file()


def verify_seal(folder: Path) -> None:
    """Refuse a sealed folder in which a file has changed, is missing or was added.

    Raises:
        IntegrityError: names the first such file; or there is no seal that can be read.
    """
    again = "copy or download the folder again"
    covers, listed = _read(folder / SEAL)
    present = [name for name in covers if (folder / name).exists()]
    found = sha256_files(folder, *present)
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            raise IntegrityError(f"{folder / name} is missing; {again}")
        if name not in listed:
            raise IntegrityError(f"{folder / name} is not listed in {SEAL}; remove it, or {again}")
        if found[name] != listed[name]:
            raise IntegrityError(
                f"{folder / name} is not what was saved (its sha256 differs from {SEAL}); {again}"
            )


def _read(path: Path) -> tuple[list[str], dict[str, str]]:
    try:
        seal: Any = json.loads(path.read_text(encoding="utf-8"))
        number, covers, files = seal["format"], seal["covers"], seal["files"]
        # Plain names only: a seal from elsewhere must not lead out of its folder.
        if not all(isinstance(x, str) and x == Path(x).name for x in [*covers]):
            raise ValueError
        if not all(isinstance(x, str) for x in files.values()):
            raise ValueError
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing; save the model again") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IntegrityError(f"{path} cannot be read; copy or download the folder again") from None
    if number != FORMAT:
        raise IntegrityError(f"{path} has format {number!r}; this version reads {FORMAT}")
    return covers, files
