"""Synthetic worlds: what is asked for, the same at every call, in time order."""

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.growth import world


def test_a_world_has_its_sizes_and_is_the_same_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(world, "BLOCK_ROWS", 700)
    for name in ("a", "b"):
        world.write_world(tmp_path / name, users=50, items=40, interactions=2000)
    log, items = (pq.read_table(tmp_path / "a" / f"{x}.parquet") for x in ("interactions", "items"))
    assert (log.num_rows, items.num_rows) == (2000, 40)
    times = log["timestamp"].to_pylist()
    assert times == sorted(set(times))
    assert pc.all(pc.is_in(log["item_id"], items["item_id"])).as_py()
    assert 40 < len(pc.unique(log["user_id"])) <= 50
    for name in ("interactions", "items"):
        files = [(tmp_path / x / f"{name}.parquet").read_bytes() for x in ("a", "b")]
        assert files[0] == files[1]


def test_popularity_falls_with_the_rank(tmp_path):
    world.write_world(tmp_path, users=100, items=80, interactions=20_000)
    counts = pq.read_table(tmp_path / "interactions.parquet")["item_id"].value_counts()
    by_item = {row["values"]: row["counts"] for row in counts.to_pylist()}
    assert by_item["i000000000"] > 2 * by_item["i000000079"]
