"""Another model for a run, as if a training of it ended."""

import os
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from cllm4rec.recommender.intact import seal_model
from cllm4rec.run import read_json, write_json


def other_model(run: Path, name: str = "other") -> Path:
    """A model beside the run's, of other weights and another blend; to be put in its place."""
    other = run / name
    shutil.copytree(run / "model", other)
    tensors = load_file(other / "model.safetensors")
    save_file({name: -each for name, each in tensors.items()}, other / "model.safetensors")
    record = read_json(other / "model.json")
    write_json(other / "model.json", record | {"blend": record["blend"] / 2})
    (other / "sha256.json").unlink()
    seal_model(other)
    return other


def swap(run: Path, other: Path) -> None:
    """Put the other model in the place of the run's, and that one in its place."""
    for one, its in (("model", "before"), (other.name, "model"), ("before", other.name)):
        os.replace(run / one, run / its)
