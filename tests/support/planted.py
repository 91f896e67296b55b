"""One small planted world, prepared once, for the tests of evaluation and of baselines."""

from dataclasses import dataclass

import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import PlantedWorld, write_planted_world


@dataclass(frozen=True)
class Planted:
    dataset: Dataset
    world: PlantedWorld


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    world = write_planted_world(folder / "source", users=150, items=60, genres=4)
    split = folder / "source" / "split.parquet"
    dataset = Dataset.load(folder / "source", split=split, folder=folder / "data")
    assert dataset.users.ids(range(150)) == world.user_ids
    assert dataset.items.ids(range(len(dataset.items))) == world.item_ids
    return Planted(dataset, world)
