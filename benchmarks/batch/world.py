"""A run for the batch bench: real parts, random tables, nobody's data."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.backbones import backbone_here
from cllm4rec.config import Request, resolve
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.seeds import derived_seed, generator
from cllm4rec.start.vectors import noise
from cllm4rec.tasks import task_for

BLEND_WEIGHT = 0.4


def synthetic_recommender(folder: Path, items: int, *, depth: int, linear: bool) -> Recommender:
    """A recommender of a catalogue nobody sells, with the settings of a run of sets.

    Args:
        folder: takes the data, and a backbone where the default one is not in the cache.
        items: items of the catalogue.
        depth: layers of the backbone.
        linear: blend in a linear model of random weights, ``[items, items]``.
    """
    each = 20
    users = -(-items // each)
    # Round by round through the catalogue: every item has an interaction.
    number = np.arange(users * each)
    write_log(folder / "source" / "interactions.parquet", number // each, number % items)
    dataset = Dataset.load(folder / "source", folder=folder / "data")
    backbone = {"name": backbone_here(folder / "backbone", depth), "depth": depth}
    given = Request("sets", {"backbone": backbone})
    config = resolve(given, newest_held_out=False)
    lm = LanguageModel.load(config)
    task = task_for(config, lm, len(dataset.users), items)
    table = noise(task.space.num_users + items, lm.words, derived_seed(config.seed, "bench"))
    users_and_items = table.split([task.space.num_users, items])  # type: ignore[no-untyped-call]
    scorer = ModelScorer(
        model=collaborative_llm(lm, config, *users_and_items),
        task=task,
        trained_users=dataset.part("train").counts() > 0,
    )
    if linear:
        rng = generator(derived_seed(config.seed, "bench"), "linear")
        weights = rng.random((items, items), dtype=np.float32)
        scorer.linear, scorer.weight = LinearModel(weights, {"decay": 1.0}), BLEND_WEIGHT
    return Recommender(scorer, dataset, lm)


def write_synthetic_histories(path: Path, users: int, items: int, each: int) -> None:
    """A log of users whom no run knows, ``each`` different items of ``items`` for everyone."""
    rng = generator(0, "bench", "histories")
    starts, steps = rng.integers(items, size=users), rng.integers(1, items // each, size=users)
    chosen = (starts[:, None] + steps[:, None] * np.arange(each)) % items
    write_log(path, np.repeat(np.arange(users), each), chosen.ravel())


def write_log(path: Path, users: np.ndarray, items: np.ndarray) -> None:
    """Parquet ``user_id, item_id, position`` of numbers, ids made of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = {
        "user_id": pa.array(np.char.add("u", users.astype(str))),
        "item_id": pa.array(np.char.add("i", items.astype(str))),
        "position": pa.array(np.arange(len(users))),
    }
    pq.write_table(pa.table(ids), path)
