"""The rows of one log, and those that a file keeps."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.sizes.table import table
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.movielens import write_movielens_100k
from cllm4rec.errors import InputError
from cllm4rec.run import read_json


def measured(
    data: Path | None, split: Path | None, minilm: Path | None, backbone: str, depth: int
) -> dict[str, Any]:
    """`table` of an input directory; None: movielens-100k, downloaded."""
    with TemporaryDirectory() as scratch:
        if data is None:
            data = Path(scratch)
            write_movielens_100k(data)
        return table(Dataset.load(data, split=split), minilm, backbone, depth)


def digest(data: Path) -> str:
    """The first half of the sha256 of an input directory's files: two may have one name."""
    found = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def kept(out: Path | None, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Log → its rows, of a file that may not be there yet.

    Raises:
        InputError: it has this log, measured with other settings.
    """
    found: dict[str, Any] = {} if out is None or not out.exists() else read_json(out)
    for key, value in found.get(name, {}).get("settings", {}).items():
        if value != settings[key]:
            raise InputError(
                f"{out} has {name}, measured with {key} {value} and not {settings[key]}; "
                f"give another --out"
            )
    return found
