"""``manifest.json``: its format, and the types of what stages recorded."""

import json
from importlib.metadata import PackageNotFoundError, version
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
}


class Record(dict[str, Any]):
    """What a stage recorded; a key that is not there was taken out by hand."""

    def __init__(self, stage: str, record: dict[str, Any], path: Path) -> None:
        super().__init__(record)
        self.place = f"{path}: the record of `{stage}`"

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
    for name, sha256 in record["files"].items():
        if not isinstance(sha256, str):
            raise IntegrityError(f"{record.place} has files.{name} = {sha256!r}; {MEND}")
    return record
