"""The test part plays no part in training."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.toy_run import toy_config

FOLDERS = ("initial", "pretrained", "model")
FEW = 40
"""Items, of 80, among which the others are, so that counts of items change too."""


def with_other_test_items(folder: Path) -> None:
    """Draw other items for the test part, and for its reviews; the catalogue stays."""
    split = pq.read_table(folder / "split.parquet").to_pylist()
    taken = {(row["user_id"], row["item_id"]) for row in split}
    others = {row["item_id"] for row in split if row["part"] != "test"}
    draw, items = np.random.default_rng(0), sorted(others)
    moved: dict[tuple[str, str], tuple[str, str]] = {}
    for row in split:
        pair = user, item = row["user_id"], row["item_id"]
        if row["part"] == "test" and item in others:
            moved[pair] = next(
                (user, items[at]) for at in draw.permutation(FEW) if (user, items[at]) not in taken
            )
            taken.add(moved[pair])
    assert len(moved) > 200
    for name in ("interactions", "split", "reviews"):
        rows = pq.read_table(folder / f"{name}.parquet").to_pylist()
        for row in rows:
            pair = row["user_id"], row["item_id"]
            row["item_id"] = moved.get(pair, pair)[1]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


def trained_files(run: RunDir) -> dict[str, bytes]:
    """All, but for what the model says of the data it belongs to."""
    paths = [path for folder in FOLDERS for path in run.file(folder).rglob("*") if path.is_file()]
    found = {path.relative_to(run.path).as_posix(): path.read_bytes() for path in paths}
    record = json.loads(found["model/model.json"])
    del record["data"]["data/items.npy"], found["model/sha256.json"]
    return {**found, "model/model.json": json.dumps(record).encode()}


def test_other_test_items_leave_the_same_model_to_the_byte(backbone, tmp_path):
    runs = []
    for name in ("as they are", "exchanged"):
        source, run = tmp_path / name / "source", RunDir(tmp_path / name / "run")
        write_planted_world(source, users=120, items=80, genres=4)
        if name == "exchanged":
            with_other_test_items(source)
        config = toy_config(backbone, "finetune.epochs=1", "pretrain.rounds=1")
        with progress.quiet():
            prepare(source, run, split=source / "split.parquet", protocol="paper", config=config)
            train(run, config)
        runs.append(run)
    one, other = (Dataset.open(run.file("data")) for run in runs)
    for part, same in (("train", True), ("valid", True), ("test", False)):
        assert np.array_equal(one.part(part).items, other.part(part).items) == same
    assert list(one.items) == list(other.items)
    first, second = map(trained_files, runs)
    assert {name.split("/")[0] for name in first} == {*FOLDERS}
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
