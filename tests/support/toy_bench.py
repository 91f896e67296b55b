"""A bench that takes seconds, and cells that nobody computed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.evaluation.protocol import evaluated_users
from cllm4rec.experiments.cells import Cell
from cllm4rec.experiments.data import PreparedData
from cllm4rec.ranking import RankedItems, top_k
from support.toy_run import PLAIN

PLAN = """
seeds = [0, 1]
bootstrap = 40
baselines = ["popularity", "ease"]

[datasets.planted]
data = "source"
split = "source/split.parquet"
set = ['backbone.name="{backbone}"', "backbone.dtype=float32", "threads=1"]

[models.tiny]
set = ["pretrain.enabled=false", "finetune.epochs=1"]
"""


def write_toy_plan(folder: Path, backbone: Path, extra: str = "") -> Path:
    """Write the data and a plan beside them; ``extra`` comes at its end."""
    if not (folder / "source").is_dir():
        write_planted_world(folder / "source", users=60, items=40, genres=4)
    path = folder / "plan.toml"
    path.write_text(PLAN.format(backbone=backbone) + extra, encoding="utf-8")
    return path


def some_lists(dataset: Dataset, seed: int, skill: float = 0.0) -> RankedItems:
    """Lists by chance, better with ``skill``: test items are lifted by it."""
    users = evaluated_users(dataset, "test")
    scores = np.random.default_rng(seed).random((len(users), len(dataset.items)))
    test = dataset.part("test").rows(users)
    scores[test.users(), test.items] += skill
    return RankedItems(users, *top_k(scores, dataset.known("test").rows(users), 100))


def finished_cell(
    folder: Path, data: PreparedData, model: str, seed: int, **changes: Any
) -> tuple[Cell, dict[str, Any]]:
    """A cell with lists of :func:`some_lists`, as a process would have left it."""
    config = None if changes.pop("baseline", False) else PLAIN.changed(seed=seed)
    skills = changes.pop("skills", {"": 0.0})
    place, measures = folder / model / str(seed), tuple(PLAIN.evaluate.selection)
    cell = Cell(data.name, model, seed, config, place, data.folder, "0" * 64, measures)
    num_items = len(data.dataset.items)
    record = {
        "identity": cell.identity(num_items),
        "settings": cell.settings(num_items),
        "seconds": 10.0 + seed,
        "peak_mb": 100.0 + seed,
        "chosen": {"best_epoch": 3, "blend": 0.5, "linear": True, "start": {}},
        "resumed": False,
        "lists": {},
        **changes,
    }
    for half, skill in skills.items():
        record["lists"][half] = f"topk{half}.parquet"
        lists = some_lists(data.dataset, 100 * len(model) + seed + len(half), skill)
        path = cell.folder / record["lists"][half]
        lists.write(path, data.dataset.users, data.dataset.items)
    (cell.folder / "cell.json").write_text(json.dumps(record))
    return cell, record
