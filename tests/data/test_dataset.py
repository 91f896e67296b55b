import subprocess
import sys

import numpy as np
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError, IntegrityError
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder

PARTS = ("train", "valid", "test", "history")


@pytest.fixture
def dataset(tmp_path):
    """Three users; user u1's five items are spread over all four parts."""
    log = small_log(3, 8, 5)
    parts = ["test", "train", "history", "valid", "train"]
    split = [
        {"user_id": row["user_id"], "item_id": row["item_id"],
         "part": parts[n % 5] if row["user_id"] == "u1" else "train"}
        for n, row in enumerate(log)
    ]  # fmt: skip
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "items", [{"item_id": "i0", "title": "T", "year": 1}])
    dataset, _ = prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))
    return dataset


def test_parts_are_what_the_split_says(dataset):
    assert histories(dataset, "train")["u1"] == ["i2", "i5"]
    assert histories(dataset, "valid") == {"u1": ["i4"]}
    assert histories(dataset, "test") == {"u1": ["i1"]}
    assert histories(dataset, "history") == {"u1": ["i3"]}
    assert sum(len(dataset.part(part)) for part in PARTS) == len(dataset.interactions) == 15


def test_known_grows_with_what_is_asked_and_stays_in_time_order(dataset):
    user = dataset.users.number("u1")
    found = {
        asked: dataset.items.ids(dataset.known(asked).of(user))
        for asked in ("valid", "test", "recommend")
    }
    assert found == {
        "valid": ["i2", "i3", "i5"],
        "test": ["i2", "i3", "i4", "i5"],
        "recommend": ["i1", "i2", "i3", "i4", "i5"],
    }


def test_what_is_asked_for_is_never_known(dataset):
    for part in ("valid", "test"):
        both = dataset.known(part).matrix().multiply(dataset.part(part).matrix())
        assert both.nnz == 0


def test_summary_counts(dataset):
    assert dataset.summary() == {
        "users": 3, "items": 7, "interactions": 15, "train": 12, "valid": 1, "test": 1,
        "history": 1, "titles": 1, "texts": 0, "item_features": 1, "user_features": 0, "reviews": 0,
    }  # fmt: skip
    assert dataset.report()["kept"]["interactions"] == 15


def test_its_representation_has_no_ids(dataset):
    assert repr(dataset) == f"Dataset({len(dataset.users)} users, {len(dataset.items)} items)"


def test_interactions_are_mapped_not_read(dataset):
    assert isinstance(dataset.interactions.items.base, np.memmap)
    assert type(dataset.part("train").items) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        dataset.interactions.items[0] = 1


@pytest.mark.parametrize("name", ["report.json", "users.parquet", "items.parquet", "offsets.npy",
                                  "items.npy", "parts.npy"])  # fmt: skip
def test_a_missing_or_damaged_file_is_named(dataset, name):
    path = dataset.folder / name
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match=name):
        Dataset.open(dataset.folder)
    path.unlink()
    with pytest.raises(IntegrityError, match=name):
        Dataset.open(dataset.folder)


def test_files_of_two_data_sets_do_not_mix(dataset):
    np.save(dataset.folder / "parts.npy", np.zeros(3, dtype=np.uint8))
    with pytest.raises(IntegrityError, match="do not fit together"):
        Dataset.open(dataset.folder)


def test_a_pickled_array_is_refused(dataset):
    np.save(dataset.folder / "items.npy", np.array([{"code": 1}], dtype=object))
    with pytest.raises(IntegrityError, match=r"items\.npy"):
        Dataset.open(dataset.folder)


def test_load_prepares_into_the_folder_given(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    dataset = Dataset.load(tmp_path / "in", folder=tmp_path / "out", seed=3)
    assert dataset.folder == tmp_path / "out"
    assert dataset.summary()["interactions"] == 36
    again = Dataset.load(tmp_path / "in", folder=tmp_path / "again", seed=3)
    assert np.array_equal(again.part_codes, dataset.part_codes)


def test_load_takes_split_protocol_and_settings(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    last = Dataset.load(tmp_path / "in", protocol="leave-last-out", folder=tmp_path / "out")
    assert histories(last, "test")["u0"] == ["i5"]
    few = DataConfig(minimum_interactions=1)
    split = [{"user_id": "u0", "item_id": "i0", "part": "train"}]
    path = write_rows(tmp_path, "split", split)
    one = Dataset.load(str(tmp_path / "in"), split=str(path), config=few, folder=tmp_path / "one")
    assert one.summary()["interactions"] == 1


def test_without_a_folder_the_data_are_removed_at_exit(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    code = (
        "from cllm4rec.data.dataset import Dataset;"
        f"dataset = Dataset.load({str(tmp_path / 'in')!r});"
        "assert dataset.part('train').of(0).size == 4;"
        "print(dataset.folder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder = done.stdout.strip()
    assert folder
    assert not subprocess.run(["ls", folder], capture_output=True, check=False).stdout


@pytest.mark.parametrize(
    ("column", "ordered"), [("timestamp", True), ("position", True), ("", False)]
)
def test_whether_the_histories_have_an_order_is_known(tmp_path, column, ordered):
    rows = [{"user_id": row["user_id"], "item_id": row["item_id"]} for row in small_log()]
    given = [{**row, "timestamp": None, column: 7} if column else row for row in rows[:1]]
    write_rows(tmp_path / "in", "interactions", [*rows[1:], *given])
    dataset, report = prepare_folder(tmp_path / "in")
    assert dataset.ordered is report["ordered"] is ordered


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": None}, "source is None; give a path"),
        ({"split": 3}, "split is 3; give a path"),
        ({"folder": 3}, "folder is 3; give a path"),
        ({"seed": "x"}, "seed is 'x'; give a whole number, 0 or more"),
        ({"seed": -1}, "seed is -1; give a whole number, 0 or more"),
        ({"seed": True}, "seed is True; give a whole number, 0 or more"),
        ({"config": "columns"}, "config is a str, not a DataConfig; give a dict of settings"),
        ({"config": {"colums": {}}}, r"no setting data\.colums: did you mean data\.columns\?"),
        ({"protocol": ["paper"]}, "protocol is a list, not a str"),
        ({"folder": "/proc/x"}, "cannot be made there; choose another path"),
    ],
)
def test_a_wrong_argument_is_one_line(tmp_path, given, message):
    write_rows(tmp_path, "interactions", small_log())
    with pytest.raises(InputError, match=message) as caught:
        Dataset.load(**{"source": tmp_path, **given})
    assert "\n" not in str(caught.value)


def test_a_seed_of_numpy_is_a_number(tmp_path):
    write_rows(tmp_path, "interactions", small_log())
    seeds = (np.int64(3), 3)
    first, second = (Dataset.load(tmp_path, seed=seed).part_codes.tolist() for seed in seeds)
    assert first == second


@pytest.mark.parametrize("content", ["[]", "[1]", '{"columns": 5}', '{"colour": "red"}'])
def test_settings_that_are_none_are_refused_by_name(tmp_path, content):
    write_rows(tmp_path / "in", "interactions", small_log(20, 12, 8))
    dataset = Dataset.load(tmp_path / "in", folder=tmp_path / "data")
    assert dataset.settings["csv_separator"] == "auto"
    (tmp_path / "data" / "settings.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"settings\.json does not hold settings of \[data\]"):
        print(Dataset.open(tmp_path / "data").settings)
