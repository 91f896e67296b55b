"""Prepare an input directory in a test and look at the result by external ids."""

from pathlib import Path
from typing import Any

from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.ingest import prepare


def prepare_folder(folder: Path, **changes: Any) -> tuple[Dataset, dict[str, Any]]:
    """The dataset and the report; ``changes`` are settings, ``split``, ``protocol``, ``seed``."""
    split, protocol = changes.pop("split", None), changes.pop("protocol", "paper")
    seed = changes.pop("seed", 0)
    settings = {"memory_limit": "128MB", "minimum_interactions": 1} | changes
    report = prepare(
        folder,
        folder.parent / "prepared" / "data",
        split=split,
        protocol=protocol,
        config=DataConfig(**settings),
        seed=seed,
    )
    return Dataset.open(folder.parent / "prepared" / "data"), report


def histories(dataset: Dataset, part: Any) -> dict[str, list[str]]:
    """User id → item ids of a part, oldest first; users without any are left out."""
    interactions = dataset.part(part)
    return {
        dataset.users.id(user): dataset.items.ids(interactions.of(user))
        for user in range(interactions.num_users)
        if len(interactions.of(user))
    }
