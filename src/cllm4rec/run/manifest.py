"""``manifest.json``: its format, and the types of what stages recorded."""

import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from math import inf, isfinite
from pathlib import Path
from typing import Any

from cllm4rec.errors import IntegrityError, RunError

FORMAT = 3
"""Format number of the manifest; others are refused."""

MEND = "undo the edit, or run `cllm4rec prepare` again, with another --run"

_NUMBER, _SETTINGS = (int, float), (dict,)
_ALWAYS = ("files", "seconds")
_TYPES: dict[str, tuple[type, ...]] = {
    "files": (dict,),
    "seconds": _NUMBER,
    "identity": (str,),
    "start": _SETTINGS,
    "linear": (*_SETTINGS, type(None)),
    "epochs": (int,),
    "best_epoch": (int,),
    "blend": _NUMBER,
    "notes": (list,),
}
_MOST = {"seconds": inf, "epochs": inf, "blend": 1}
"""Numbers from 0 on → the largest; ``best_epoch`` is at most ``epochs``."""


class Record(dict[str, Any]):
    """What a stage recorded; a key that is not there was taken out by hand."""

    def __init__(self, stage: str, record: dict[str, Any], path: Path) -> None:
        super().__init__(record)
        self.place = f"{path}: the record of `{stage}`"

    def refuse(self, key: str, name: str | None) -> None:
        """Refuse a table of settings for one that is missing or wrong there.

        Args:
            key: of the table.
            name: of the setting; None if there is no such.

        Raises:
            IntegrityError: names the file, the key, the value and the mend.
        """
        if name is not None:
            said = f"{name} = {self[key][name]!r}" if name in self[key] else f"no {name}"
            raise IntegrityError(f"{self.place} has {said} in {key}; {MEND}")

    def __missing__(self, key: str) -> Any:
        raise IntegrityError(f"{self.place} has no {key}; {MEND}")


def new_manifest() -> dict[str, Any]:
    """That of a run in which nothing is done."""
    return {"format": FORMAT, "package_version": package_version(), "stages": {}}


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a manifest; a new one where there is none.

    Raises:
        RunError: it is of another format.
        IntegrityError: it was edited: it is not JSON, or a value is of another type.
    """
    if not path.is_file():
        return new_manifest()
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not JSON ({error}); {MEND}") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise RunError(
            f"{path} has format {found!r}, this version reads {FORMAT}: it was made by another "
            f"version; run `cllm4rec prepare` again, with another --run"
        )
    stages = manifest.get("stages")
    if not isinstance(stages, dict):
        raise IntegrityError(f"{path} has no table of stages; {MEND}")
    manifest["stages"] = {stage: _record(stage, given, path) for stage, given in stages.items()}
    return dict(manifest)


def package_version() -> str:
    """Version of the installed package."""
    try:
        return version("cllm4rec")
    except PackageNotFoundError:
        return "not installed"


def _record(stage: str, given: Any, path: Path) -> Record:
    if not isinstance(given, dict):
        raise IntegrityError(f"{path}: the record of `{stage}` is {given!r}; {MEND}")
    record = Record(stage, given, path)
    for key in {*_ALWAYS, *record} & _TYPES.keys():
        value = record[key]
        if not isinstance(value, _TYPES[key]) or isinstance(value, bool):
            raise IntegrityError(f"{record.place} has {key} = {value!r}; {MEND}")
    for line in record.get("notes", []):
        if not isinstance(line, str):
            raise IntegrityError(f"{record.place} has {line!r} in notes; {MEND}")
    most = {**_MOST, "best_epoch": record.get("epochs", inf)}
    for key, number in _numbers(record):
        if not isfinite(number) or (key in most and not 0 <= number <= most[key]):
            raise IntegrityError(f"{record.place} has {key} = {number}; {MEND}")
    for key, value in record.get("start", {}).items():
        if not isinstance(value, _NUMBER) or isinstance(value, bool):
            raise IntegrityError(f"{record.place} has start.{key} = {value!r}; {MEND}")
    for name, sha256 in record["files"].items():
        if not isinstance(sha256, str):
            raise IntegrityError(f"{record.place} has files.{name} = {sha256!r}; {MEND}")
    return record


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a record, with its place: ``linear.l2``."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _numbers(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for each in value:
            yield from _numbers(each, key)
    elif isinstance(value, int | float):
        yield key, value
