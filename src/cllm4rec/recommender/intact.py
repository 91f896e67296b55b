"""Integrity of trained models: sha256 of every file of the model and its data, before loading."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.run import is_sealed, read_json, seal, sealed_files, sha256_files, verify_seal
from cllm4rec.run.added import Current

FORMAT = 7
"""Format number of saved models; others are refused."""
_MEND = "train again, or copy the folder again"


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
        verify_seal(folder / "model", _MEND)
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
    hashes = sealed_files(folder / "model", _MEND)
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
