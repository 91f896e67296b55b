"""prepare within a stated amount of memory."""

import threading
import time

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.prepared import prepare_folder


@pytest.mark.slow
def test_a_log_larger_than_memory_spills_to_the_folder(tmp_path):
    rows = 1_500_000
    rng = np.random.default_rng(0)
    table = pa.table({
        "user_id": [f"user-{number:016}" for number in rng.integers(10**5, size=rows)],
        "item_id": [f"item-{number:016}" for number in rng.integers(10**4, size=rows)],
        "timestamp": rng.integers(10**9, size=rows),
    })
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "interactions.parquet")
    expected = duckdb.execute(
        "SELECT count(DISTINCT user_id), count(DISTINCT (user_id, item_id)) FROM 'FILE'".replace(
            "FILE", str(tmp_path / "in" / "interactions.parquet")
        )
    ).fetchall()[0]
    spilled, done = [0], threading.Event()

    def watch():
        while not done.is_set():
            files = (tmp_path / "prepared").glob(".data.work-*/spill/*")
            spilled.append(sum(size_of(path) for path in files))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        dataset, report = prepare_folder(tmp_path / "in", memory_limit="100MB")
    finally:
        done.set()
        watcher.join()
    assert max(spilled) > 1_000_000
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["data"]
    kept = report["kept"]
    assert (kept["users"], kept["interactions"]) == expected
    assert kept["train"] + kept["valid"] + kept["test"] == kept["interactions"]
    assert len(dataset.interactions) == kept["interactions"]


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
