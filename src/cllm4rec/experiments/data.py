"""The bench's data: each data set is prepared once, for all its cells."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.recipe import recipe
from cllm4rec.data.sources import SOURCES
from cllm4rec.experiments.plan import Plan
from cllm4rec.run import atomic_folder, read_json, sha256_file, write_json


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """One data set of a plan, prepared.

    Attributes:
        name: in the plan.
        folder: of the prepared files.
        sha256: of all prepared files; part of every cell's identity.
        dataset: the files, opened.
        splitting: protocol, or ``split file``.
    """

    name: str
    folder: Path
    sha256: str
    dataset: Dataset
    splitting: str


def prepare_data(plan: Plan, name: str, out: Path) -> PreparedData:
    """Prepare a data set, or reuse it if already prepared from the same input.

    Args:
        plan: gives the input and its split.
        name: of the data set.
        out: the bench's folder; known sources are fetched into ``sources/``, prepared files go to
            ``data/``.

    Raises:
        InputError: the input is unusable; the message says what to change.
    """
    chosen, config = plan.datasets[name], plan.data_config(name)
    source = _source(chosen.data, out)
    split = None if chosen.split is None else Path(chosen.split)
    protocol = chosen.protocol or "paper"
    made_of = recipe(source, split=split, protocol=protocol, config=config.data, seed=config.seed)
    folder, note = out / "data" / name / "prepared", out / "data" / name / "recipe.json"
    record = read_json(note) if note.is_file() else {}
    if record.get("recipe") != made_of or record.get("files") != _hashes(folder):
        if record:
            progress.note(f"{name}: the data, or how they are read, changed: preparing them again")
        note.unlink(missing_ok=True)
        Dataset.load(
            source,
            split=split,
            protocol=protocol,
            config=config.data,
            seed=config.seed,
            folder=folder,
        )
        record = {"recipe": made_of, "files": _hashes(folder)}
        write_json(note, record)
    sha256 = identity_of(record["files"])
    return PreparedData(name, folder, sha256, Dataset.open(folder), chosen.splitting)


def identity_of(*parts: Any) -> str:
    """sha256 over JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _source(data: str, out: Path) -> Path:
    if data not in SOURCES:
        return Path(data)
    folder = out / "sources" / data
    if not folder.is_dir():
        with atomic_folder(folder) as temporary:
            SOURCES[data](temporary)
    return folder


def _hashes(folder: Path) -> dict[str, str]:
    """Name → sha256 of every prepared file; empty where there is no such folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
