"""Integrity of trained models: sha256 of every file of the model and its data, before loading."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from cllm4rec.data.texts import ITEMS
from cllm4rec.errors import CLLM4RecError, InputError, IntegrityError
from cllm4rec.run import Opened, is_sealed, read_json, seal, sealed_files, sha256_files, verify_seal
from cllm4rec.run.added import Current

FORMAT = 7
"""Format number of saved models; others are refused."""
LOADS = 3
"""Attempts to read what is being replaced at the same time."""
_PAUSE_S = 0.1
"""Before another attempt: a folder that is replaced has another name for a moment."""
MEND = "train again, or copy the folder again"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Version:
    """A trained model as it is at one time.

    Attributes:
        model: its folder.
        data: folder of its data.
        fingerprint: of the model and the items that were added to it (`model_fingerprint`).
    """

    model: Opened
    data: Opened
    fingerprint: str

    @classmethod
    def of(cls, folder: Path, *, added: bool = True) -> Self:
        """The one that is in a run, or saved folder, now.

        Args:
            folder: of either.
            added: whether items that were added to it count.

        Raises:
            InputError: ``folder`` has no trained model.
            IntegrityError: the model has another format, or what names its files cannot be read.
        """
        _record(folder / "model")
        return cls(
            Opened.of(folder / "model", "model.json"),
            Opened.of(folder / "data", ITEMS),
            model_fingerprint(folder) if added else model_sha256(folder),
        )

    @classmethod
    def unsaved(cls, data: Path) -> Self:
        """Of a model that is in no folder yet, and has no fingerprint."""
        model = Opened.of(data.parent / "model", "model.json")
        return cls(model, Opened.of(data, ITEMS), "")


def read_whole(folder: Path, read: Callable[[Version], Read], *, added: bool = True) -> Read:
    """What is read of one model with its data and added items, and not of two.

    A training, or a change of the added items, may end meanwhile: then it is read again.

    Args:
        folder: a run, or a folder written by ``CLLM4Rec.save``.
        read: reads it; is given what is there.
        added: whether added items are read too.

    Raises:
        InputError: ``folder`` has no trained model, or gets another one each time.
        IntegrityError: as of `Version.of`.
    """
    for _ in range(LOADS):
        version = Version.of(folder, added=added)
        try:
            found = read(version)
        except Exception:  # of whatever kind, where files of two models meet
            if _is_still(folder, version, added):
                raise
        else:
            if _is_still(folder, version, added):
                return found
            del found  # two do not fit into the memory that one needs
        time.sleep(_PAUSE_S)
    raise InputError(f"the model in {folder} is being replaced; load it when that is done")


def _is_still(folder: Path, version: Version, added: bool) -> bool:
    try:
        return Version.of(folder, added=added) == version
    except CLLM4RecError:  # briefly absent while another model replaces it
        return False


def seal_model(model: Path) -> None:
    """Write the sha256 of a ``model`` folder's files into it."""
    seal(model, *(path.name for path in model.iterdir()))


def data_hashes(data: Path) -> dict[str, str]:
    """sha256 of prepared data for ``model.json``: ``data/NAME`` → hash."""
    return {f"data/{name}": found for name, found in sha256_files(data, ".").items()}


def verified_record(folder: Path) -> dict[str, Any]:
    """Verify every file of ``model/`` and ``data/`` by its sha256, then return ``model.json``.

    Args:
        folder: a run, or a folder written by ``CLLM4Rec.save``.

    Raises:
        InputError: ``folder`` has no trained model.
        IntegrityError: the model has another format, or a file has changed; names the first.
    """
    record = _record(folder / "model")
    if is_sealed(folder):
        data = {n: found for n, found in verify_seal(folder).items() if n.startswith("data/")}
    else:
        verify_seal(folder / "model", MEND)
        data = data_hashes(folder / "data") if (folder / "data").is_dir() else {}
    _refuse_other_data(folder, record["data"], data)
    return record


def model_fingerprint(folder: Path) -> str:
    """sha256 of all that an answer depends on: the model, and the items that were added to it.

    Raises:
        InputError: ``folder`` has no trained model.
        IntegrityError: the seal, or the pointer to the added items, cannot be read.
    """
    model, current = model_sha256(folder), Current.read(folder)
    if current is None or current.model != model:
        return model
    return hashlib.sha256(f"{model} {current.path.name}".encode()).hexdigest()


def model_sha256(folder: Path) -> str:
    """sha256 of a model, from its seal: covers weights, settings, backbone and data.

    Raises:
        InputError: ``folder`` has no trained model.
        IntegrityError: the seal cannot be read.
    """
    _refuse_untrained(folder / "model")
    hashes = sealed_files(folder / "model", MEND)
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _refuse_other_data(folder: Path, trained_on: Mapping[str, str], found: dict[str, str]) -> None:
    for name in sorted(trained_on.keys() | found.keys()):
        if found.get(name) != trained_on.get(name):
            what = "is not what it was" if name in found else "is missing, but was there"
            raise IntegrityError(
                f"{folder / name} {what} when {folder / 'model'} was trained; bring it back, "
                f"or prepare and train again"
            )


def _refuse_untrained(model: Path) -> None:
    if not model.parent.is_dir():
        raise InputError(f"there is no folder {model.parent}; give that of a trained run")
    if not (model / "model.json").is_file():
        raise InputError(f"no trained model in {model}; run `cllm4rec train` first")


def _record(model: Path) -> dict[str, Any]:
    _refuse_untrained(model)
    record = read_json(model / "model.json")
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise IntegrityError(
            f"{model / 'model.json'} has format {found!r}; this version reads {FORMAT}: train again"
        )
    return dict(record)
