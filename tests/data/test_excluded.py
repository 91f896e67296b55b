"""What kept users have had and no part holds is kept apart: no list may have it again."""

import itertools
import json

import numpy as np
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.data.excluded import COUNT, ITEMS, OFFSETS
from cllm4rec.data.item_rows import ItemRows
from cllm4rec.data.split import PROTOCOLS
from cllm4rec.errors import IntegrityError
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

LOG = [row | {"rating": 1 + 4 * (n % 4 > 0)} for n, row in enumerate(small_log(12, 16, 10))]
"""Of 12 users' ten items one in four is rated low."""
FEW = [{"user_id": "few", "item_id": f"i{n}", "timestamp": 9 - n, "rating": n} for n in range(5)]
OUTSIDE = [{"user_id": "u0", "item_id": "nobody likes it", "timestamp": 1, "rating": 1}]


def had(dataset: Dataset, user: str) -> list[str]:
    return dataset.items.ids(dataset.excluded.of(dataset.users.number(user)))


def of_parts(dataset: Dataset, user: str) -> list[str]:
    return dataset.items.ids(dataset.interactions.of(dataset.users.number(user)))


@pytest.fixture
def prepared(tmp_path):
    write_rows(tmp_path / "in", "interactions", LOG + FEW + OUTSIDE)
    return prepare_folder(tmp_path / "in", minimum_interactions=5)


def test_what_was_rated_low_is_excluded(prepared):
    dataset, report = prepared
    for user in dataset.users.ids(range(len(dataset.users))):
        low = [row["item_id"] for row in LOG if row["user_id"] == user and row["rating"] == 1]
        assert had(dataset, user) == sorted(low)
    assert report[COUNT] == len(dataset.excluded) > 0
    assert report["not_positive"] == report[COUNT] + len(OUTSIDE) + 4, "of FEW four are not"


def test_of_what_was_rated_again_the_newest_opinion_counts(tmp_path):
    again = [
        {"user_id": "u0", "item_id": "i1", "timestamp": 9999, "rating": 1},
        {"user_id": "u0", "item_id": "i0", "timestamp": 9999, "rating": 5},
    ]
    write_rows(tmp_path / "in", "interactions", LOG + again)
    dataset, _ = prepare_folder(tmp_path / "in")
    assert "i1" in had(dataset, "u0")
    assert "i0" not in had(dataset, "u0")
    assert "i0" in of_parts(dataset, "u0")


def test_what_the_split_file_lacks_is_excluded_whatever_its_rating(tmp_path):
    write_rows(tmp_path / "in", "interactions", LOG)
    split = [{**row, "part": "train"} for row in LOG if row["item_id"] != "i3"]
    split += [row | {"part": "elsewhere"} for row in LOG if row["user_id"] == "u3"][:1]
    path = write_rows(tmp_path, "split", split)
    # The item is in the catalogue because its row is.
    write_rows(tmp_path / "in", "items", [{"item_id": "i3", "title": "three"}])
    dataset, report = prepare_folder(tmp_path / "in", split=path, catalogue="all")
    owners = sorted(row["user_id"] for row in LOG if row["item_id"] == "i3")
    names = dataset.users.ids(range(len(dataset.users)))
    assert sorted(user for user in names if had(dataset, user) == ["i3"]) == owners
    assert report[COUNT] == report["not_in_split"] == len(owners)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parts_and_excluded_are_what_a_user_has_had_of_the_catalogue(tmp_path, protocol):
    log = small_log(40, 60, 12)
    log = [row | {"rating": 1 + 4 * (n % 5 > 0)} for n, row in enumerate(log)]
    write_rows(tmp_path / "in", "interactions", log + FEW)
    dataset, _ = prepare_folder(tmp_path / "in", protocol=protocol, minimum_interactions=5)
    assert len(dataset.excluded)
    for user in dataset.users.ids(range(len(dataset.users))):
        whole = {row["item_id"] for row in log if row["user_id"] == user}
        found = sorted(had(dataset, user) + of_parts(dataset, user))
        assert found == sorted(item for item in whole if item in dataset.items), "each once"


def test_what_the_protocol_leaves_out_is_excluded(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(40, 60, 12))
    dataset, report = prepare_folder(tmp_path / "in", protocol="new-items-last")
    assert report["not_positive"] == 0
    assert len(dataset.excluded) == report[COUNT] > 0


def test_it_changes_nothing_of_what_is_trained_on(tmp_path):
    """Positives alone make the same parts; the catalogue is of positives too."""
    found = []
    for name, log in (("a", LOG), ("b", [row for row in LOG if row["rating"] == 5])):
        write_rows(tmp_path / name / "in", "interactions", log)
        dataset, _ = prepare_folder(tmp_path / name / "in", minimum_interactions=5)
        names = ("offsets.npy", "items.npy", "parts.npy", "items.parquet", "users.parquet")
        found.append([(dataset.folder / each).read_bytes() for each in names])
    assert found[0] == found[1]


def test_the_files_are_mapped_and_one_is_there_where_nothing_is_excluded(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    dataset, report = prepare_folder(tmp_path / "in")
    assert (len(dataset.excluded), report[COUNT]) == (0, 0)
    assert (dataset.folder / ITEMS).is_file()
    assert isinstance(dataset.excluded.items.base, np.memmap)
    assert dataset.excluded.items.dtype == np.int32
    assert dataset.excluded.offsets.tolist() == [0] * (len(dataset.users) + 1)


def test_data_that_were_prepared_earlier_exclude_nothing(prepared):
    dataset, report = prepared
    for name in (ITEMS, OFFSETS):
        (dataset.folder / name).unlink()
    without = {key: value for key, value in report.items() if key != COUNT}
    (dataset.folder / "report.json").write_text(json.dumps(without))
    earlier = Dataset.open(dataset.folder)
    assert len(earlier.excluded) == 0
    assert earlier.excluded.num_users == len(dataset.users)
    np.testing.assert_array_equal(earlier.interactions.items, dataset.interactions.items)


@pytest.mark.parametrize("name", [ITEMS, OFFSETS])
def test_a_file_that_is_missing_or_does_not_fit_is_refused(prepared, name):
    dataset, _ = prepared
    np.save(dataset.folder / name, np.zeros(3, np.int32))
    with pytest.raises(IntegrityError, match="do not fit together"):
        Dataset.open(dataset.folder)
    (dataset.folder / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        Dataset.open(dataset.folder)


def test_further_items_change_nothing(prepared):
    dataset, _ = prepared
    longer = dataset.with_items(ItemRows(["new"], ["New"], [None], {}, {}))
    assert longer.excluded.num_items == len(longer.items) == len(dataset.items) + 1
    assert longer.excluded.items is dataset.excluded.items


def test_joined_rows_are_those_of_both():
    from cllm4rec.data.interactions import Interactions

    lists = [[], [3], [1, 2], [4, 0, 1]]
    for left, right in itertools.product(itertools.permutations(lists, 3), repeat=2):
        one, other = (Interactions.from_lists(rows, 5) for rows in (left, right))
        both = one.joined(other)
        assert [both.of(row).tolist() for row in range(3)] == [
            a + b for a, b in zip(left, right, strict=True)
        ]
    none = Interactions.none(3, 5)
    assert one.joined(none) is one
    np.testing.assert_array_equal(none.joined(one).items, one.items)
