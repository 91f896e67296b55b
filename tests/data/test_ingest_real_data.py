"""prepare on the shared data sets, against the counts of their README."""

import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from support.prepared import histories

REAL = {
    # name: users, items, train, valid, test (shared/data/README.md)
    "amazon-gift-cards-2018-5core": (438, 148, 1944, 448, 448),
    "amazon-musical-instruments-2014-5core": (1092, 900, 5524, 1145, 1145),
    "amazon-office-products-2018-subset": (2897, 3279, 13994, 2951, 2951),
    "movielens-latest-small-2018": (604, 7363, 49338, 6182, 6182),
    "amazon-beauty-2014-5core": (22363, 12101, 146062, 26220, 26220),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_have_the_counts_of_their_splits(tmp_path, shared_data, name):
    source = shared_data / name
    dataset = Dataset.load(source, split=source / "split.parquet", folder=tmp_path / "data")
    found = dataset.summary()
    counts = [found[key] for key in ("users", "items", "train", "valid", "test")]
    assert tuple(counts) == REAL[name]
    assert found["history"] == 0
    split = pq.read_table(source / "split.parquet").to_pylist()
    for part in ("train", "valid", "test"):
        expected: dict[str, set[str]] = {}
        for row in split:
            if row["part"] == part:
                expected.setdefault(row["user_id"], set()).add(row["item_id"])
        assert {user: set(items) for user, items in histories(dataset, part).items()} == expected


@pytest.mark.parametrize("name", REAL)
def test_the_paper_protocol_keeps_the_users_and_items_of_the_shared_splits(
    tmp_path, shared_data, name
):
    """Which pairs are held out differs; which users, items and pairs there are does not."""
    users, items, *parts = REAL[name]
    dataset = Dataset.load(shared_data / name, folder=tmp_path / "data", config=DataConfig())
    found = dataset.summary()
    assert (found["users"], found["items"], found["interactions"]) == (users, items, sum(parts))
