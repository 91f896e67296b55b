"""Whether the held-out interactions are each user's newest, told from the parts themselves."""

import random

import numpy as np
import pytest

from cllm4rec.data.dataset import Dataset
from cllm4rec.run import read_json, write_json
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


def prepared(tmp_path, protocol="paper", *, users=40, items=30, each=12, split=None, **changes):
    rows = small_log(users, items, each)
    if not changes.pop("ordered", True):
        rows = [{key: row[key] for key in ("user_id", "item_id")} for row in rows]
    write_rows(tmp_path / "in", "interactions", rows)
    if split is not None:
        changes["split"] = write_rows(tmp_path, "split", split)
    return prepare_folder(tmp_path / "in", protocol=protocol, **changes)[0]


@pytest.mark.parametrize(
    ("protocol", "newest"),
    [
        ("leave-last-out", True),
        ("temporal", True),
        ("paper", False),
        ("new-items", False),
        ("new-users", False),
    ],
)
def test_the_protocol_decides(tmp_path, protocol, newest):
    dataset = prepared(tmp_path, protocol)
    assert len(dataset.part("test")) > 0
    assert dataset.newest_held_out is newest


def test_what_is_held_out_of_items_first_seen_last_is_newest(tmp_path):
    """Item after item appears, and ten users take each in its time."""
    rows = [
        {"user_id": f"u{user}", "item_id": f"i{item:02}", "timestamp": 100 * item + user}
        for item in range(30)
        for user in range(10)
    ]
    write_rows(tmp_path / "in", "interactions", rows)
    dataset, _report = prepare_folder(tmp_path / "in", protocol="new-items-last")
    assert dataset.newest_held_out
    trained, valid, test = (dataset.part(part).item_counts() for part in ("train", "valid", "test"))
    assert [(counts > 0).sum() for counts in (trained, valid, test)] == [24, 1, 1]
    assert not (trained * (valid + test)).any()


def split_of(users: int, misplaced: int) -> list[dict[str, str]]:
    """The newest of four is the test item; of the ``misplaced`` users it is the second newest."""
    parts = {False: ["train", "train", "train", "test"], True: ["train", "train", "test", "train"]}
    return [
        {"user_id": f"u{user}", "item_id": f"i{(user + place) % 9}", "part": part}
        for user in range(users)
        for place, part in enumerate(parts[user < misplaced])
    ]


@pytest.mark.parametrize(("misplaced", "newest"), [(0, True), (2, True), (3, False)])
def test_nine_users_in_ten_decide(tmp_path, misplaced, newest):
    dataset = prepared(tmp_path, users=20, items=9, each=4, split=split_of(20, misplaced))
    assert dataset.newest_held_out is newest


def test_a_log_without_order_has_no_newest(tmp_path):
    split = split_of(20, 0)
    assert not prepared(
        tmp_path, users=20, items=9, each=4, split=split, ordered=False
    ).newest_held_out


def test_users_with_nothing_held_out_or_nothing_trained_say_nothing(tmp_path):
    split = split_of(4, 0)
    # Twenty more users: ten with training items only, ten with test items only.
    split += [
        {"user_id": f"u{user}", "item_id": f"i{(user + place) % 9}", "part": part}
        for user in range(4, 24)
        for part in ["train" if user < 14 else "test"]
        for place in range(4)
    ]
    assert prepared(tmp_path, users=24, items=9, each=4, split=split).newest_held_out


def test_validation_items_count_as_held_out(tmp_path):
    split = split_of(10, 0)
    for row in split[::4]:
        row["part"] = "valid"  # the oldest of each user
    assert not prepared(tmp_path, users=10, items=9, each=4, split=split).newest_held_out


def test_nothing_held_out_is_no_newest(tmp_path):
    split = [{**row, "part": "train"} for row in split_of(5, 0)]
    assert not prepared(tmp_path, users=5, items=9, each=4, split=split).newest_held_out


def days(users: int, each: int) -> list[dict[str, object]]:
    """Histories whose first half is of one day and whose second is of the next."""
    return [
        {
            "user_id": f"u{user}",
            "item_id": f"i{(user + 7 * place) % 31:02}",
            "timestamp": 86_400 * (1000 + (place >= each // 2)),
        }
        for user in range(users)
        for place in range(each)
    ]


def split_in_file_order(rows: list[dict[str, object]], each: int) -> list[dict[str, object]]:
    """Each user's last row for test, the one before for validation."""
    parts = ["train"] * (each - 2) + ["valid", "test"]
    return [
        {"user_id": row["user_id"], "item_id": row["item_id"], "part": parts[number % each]}
        for number, row in enumerate(rows)
    ]


def of_days(tmp_path, split):
    write_rows(tmp_path / "in", "interactions", days(60, 6))
    return prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))[0]


def newest_of(dataset, asked):
    """User id → the last item of the history that is known."""
    known = dataset.known(asked)
    last = dataset.items.ids(known.items[known.offsets[1:] - 1])
    return dict(zip(dataset.users.ids(np.arange(len(dataset.users))), last, strict=True))


def test_a_split_file_says_which_of_equal_times_is_newest(tmp_path):
    """Three items are of the newest day: the file holds out two of them, and names their order."""
    split = split_in_file_order(days(60, 6), 6)
    dataset = of_days(tmp_path, split)
    assert dataset.newest_held_out
    for asked, part in (("test", "valid"), ("recommend", "test")):
        held = {row["user_id"]: row["item_id"] for row in split if row["part"] == part}
        assert newest_of(dataset, asked) == held


def test_equal_times_do_not_make_a_drawn_split_one_of_the_newest(tmp_path):
    split = split_in_file_order(days(60, 6), 6)
    drawn = random.Random(0)
    for start in range(0, len(split), 6):
        parts = [row["part"] for row in split[start : start + 6]]
        drawn.shuffle(parts)
        for row, part in zip(split[start : start + 6], parts, strict=True):
            row["part"] = part
    dataset = of_days(tmp_path, split)
    assert not dataset.newest_held_out
    # The draw of equal times stays, whatever the parts.
    write_rows(tmp_path / "in", "interactions", days(60, 6))
    by_protocol, _report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert np.array_equal(dataset.interactions.items, by_protocol.interactions.items)


def test_nothing_is_newest_where_all_times_are_equal(tmp_path):
    rows = [{**row, "timestamp": 86_400} for row in days(60, 6)]
    write_rows(tmp_path / "in", "interactions", rows)
    split = write_rows(tmp_path, "split", split_in_file_order(rows, 6))
    assert not prepare_folder(tmp_path / "in", split=split)[0].newest_held_out


def test_data_prepared_before_are_told_by_the_stored_order(tmp_path):
    dataset = prepared(tmp_path, "leave-last-out")
    report = read_json(dataset.folder / "report.json")
    assert report.pop("newest_held_out")
    write_json(dataset.folder / "report.json", report)
    assert Dataset.open(dataset.folder).newest_held_out
