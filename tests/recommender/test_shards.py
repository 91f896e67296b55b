"""A folder of shards knows what is done, and for what."""

import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset

from cllm4rec import progress
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.shards import ShardFolder, ids_of
from support.ids import id_map

ITEMS = id_map(["a", "b", "c"], "item")
USERS = id_map([f"u{n}" for n in range(7)], "user")


def folder(path, **changes) -> ShardFolder:
    asked = {"model": "m", "histories": None, "k": 2, "shard_users": 3, "users": 7, **changes}
    return ShardFolder(path, **asked)


def write(shards: ShardFolder, shard) -> None:
    lists = RankedItems.empty(np.arange(shard.start, shard.end), 2)
    lists.items[:], lists.scores[:] = [2, shard.number % 2], [0.5, -1.0]
    shards.write(shard, ids_of(USERS.external, shard), lists, ITEMS)


@pytest.fixture
def done(tmp_path) -> ShardFolder:
    shards = folder(tmp_path / "out")
    shards.open()
    for shard in shards.shards:
        write(shards, shard)
    return shards


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_every_shard_is_one_process_own(tmp_path, world_size):
    shards = folder(tmp_path, users=20)
    assert [(x.start, x.end) for x in shards.shards][-1] == (18, 20)
    own = [shard for rank in range(world_size) for shard in shards.own(rank, world_size)]
    assert sorted(own, key=lambda shard: shard.number) == shards.shards


def test_a_folder_is_finished_when_all_shards_are_there(tmp_path):
    shards = folder(tmp_path)
    shards.open()
    for shard in shards.shards[1:]:
        write(shards, shard)
        assert not shards.finish()
    with pytest.raises(InputError, match="is not finished"):
        RankedItems.read(tmp_path, USERS, ITEMS, 2)
    write(shards, shards.shards[0])
    assert shards.finish()
    success = json.loads((tmp_path / "_SUCCESS").read_text())
    assert success["rows"] == 14
    assert list(success["files"]) == [f"part-0000{n}.parquet" for n in range(3)]
    ranked = RankedItems.read(tmp_path, USERS, ITEMS, 2)
    assert ranked.users.tolist() == list(range(7))
    assert ranked.items.tolist() == [[2, 0]] * 3 + [[2, 1]] * 3 + [[2, 0]]


def test_it_goes_on_where_it_stood(done):
    again = folder(done.path)
    again.open()
    assert all(again.is_done(shard) for shard in again.shards)


def test_a_shard_without_its_record_is_not_done(done):
    (done.path / "_part-00001.json").unlink()
    assert [done.is_done(shard) for shard in done.shards] == [True, False, True]


def test_a_shard_that_has_changed_is_written_anew(done, capsys):
    lists = done.path / "part-00001.parquet"
    before = lists.read_bytes()
    lists.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert not done.is_done(done.shards[1])
    assert "part-00001.parquet is not what its record says" in capsys.readouterr().err
    (done.path / ".part-00001.parquet.tmp-77").touch()
    (done.path / "._part-00001.json.tmp-77").touch()
    write(done, done.shards[1])
    assert lists.read_bytes() == before
    assert not list(done.path.glob(".*"))


@pytest.mark.parametrize("damage", ["", "[1]", "{}", '{"rows": 2}'])
def test_a_shard_whose_record_is_damaged_is_written_anew(done, damage):
    (done.path / "_part-00002.json").write_text(damage)
    with progress.quiet():
        assert [done.is_done(shard) for shard in done.shards] == [True, True, False]
    with pytest.raises(IntegrityError, match=r"_part-00002\.json is not of this model"):
        done.finish()
    write(done, done.shards[2])
    assert done.finish()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "other"}, "lists of another model or other data"),
        ({"k": 3}, "lists of another k"),
        ({"shard_users": 4}, "lists cut by another --shard-users"),
        ({"users": 8}, "lists of another number of users"),
        ({"histories": "f"}, "lists of other histories"),
        ({"filters": {"seen": True}}, "lists with other filters"),
    ],
)
def test_another_question_in_the_same_folder_is_refused(done, change, message):
    with pytest.raises(InputError, match=message) as caught:
        folder(done.path, **change).open()
    assert "\n" not in str(caught.value)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"is not empty and holds no _batch\.json"):
        folder(tmp_path).open()
    with pytest.raises(InputError, match=r"notes\.txt is not a folder; choose another path"):
        folder(tmp_path / "notes.txt").open()


def test_others_read_the_folder_as_one_of_parquet_files(done):
    assert done.finish()
    expected = [(f"u{n}", item) for n in range(7) for item in ("c", "ab"[n // 3 % 2])]
    arrow = dataset.dataset(done.path).to_table().to_pydict()
    frame = pd.read_parquet(done.path)
    polars = pl.read_parquet(done.path / "*.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT user_id, item_id FROM '{done.path}/*.parquet'"
        ).fetchall()
    assert list(zip(arrow["user_id"], arrow["item_id"], strict=True)) == expected
    assert list(zip(frame["user_id"], frame["item_id"], strict=True)) == expected
    assert list(zip(polars["user_id"], polars["item_id"], strict=True)) == expected
    assert rows == expected


def test_a_folder_of_an_earlier_version_stays_as_it_is(done):
    assert done.finish()
    for path in list(done.path.glob("_*.json")):
        path.rename(path.with_name(path.name.removeprefix("_")))
    with pytest.raises(InputError, match=r"begun by an earlier version \(it has a batch\.json\)"):
        folder(done.path).open()
    assert len(RankedItems.read(done.path, USERS, ITEMS, 2)) == 7
    (done.path / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="is not finished"):
        RankedItems.read(done.path, USERS, ITEMS, 2)


def test_a_record_of_another_folder_is_refused_at_the_end(done):
    other = folder(done.path, model="other")
    with pytest.raises(IntegrityError, match=r"_part-00000\.json is not of this model"):
        other.finish()
    with progress.quiet():
        assert not any(map(other.is_done, other.shards))


def test_a_folder_without_lists_is_no_topk(tmp_path):
    with pytest.raises(InputError, match=r"holds no \*\.parquet"):
        RankedItems.read(tmp_path, USERS, ITEMS, 2)


def test_lists_that_are_short_leave_no_rows(tmp_path):
    shards = folder(tmp_path, users=2)
    shards.open()
    (shard,) = shards.shards
    lists = RankedItems(
        np.arange(2, dtype=np.int32),
        np.array([[1, -1], [-1, -1]], np.int32),
        np.array([[0.5, -np.inf], [-np.inf, -np.inf]], np.float32),
    )
    shards.write(shard, pa.array(["x", "y"], pa.large_string()), lists, ITEMS)
    assert shards.finish()
    assert json.loads((tmp_path / "_SUCCESS").read_text())["rows"] == 1
