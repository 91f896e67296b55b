"""Users whom the split leaves out are counted, and their histories stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.left_out import ITEMS, USERS, users_left_out
from cllm4rec.errors import IntegrityError
from support.examples import examples
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

FEW = [{"user_id": "few", "item_id": f"i{n}", "timestamp": 9 - n, "rating": 5} for n in range(3)]
LOW = [{"user_id": "low", "item_id": "i1", "timestamp": 1, "rating": 2}]
OUTSIDE = [{"user_id": "outside", "item_id": "nowhere", "timestamp": 1}]
BAD = [{"user_id": "bad", "item_id": "i1", "timestamp": -1}]


@pytest.fixture
def prepared(tmp_path):
    """Six users of six items; four who vanish, each in another way."""
    write_rows(tmp_path / "in", "interactions", small_log() + FEW + LOW + OUTSIDE + BAD)
    return prepare_folder(tmp_path / "in", minimum_interactions=5)


def test_every_user_who_vanished_is_counted(prepared):
    _, report = prepared
    assert (report["users_read"], report["kept"]["users"]) == (10, 6)
    assert (report["users_below_minimum"], report["users_refused"]) == (3, 1)
    assert report["users_left_out"] == 3


def test_a_minimum_that_leaves_few_is_said(tmp_path, said):
    once = [{"user_id": f"once {n}", "item_id": "i1", "timestamp": 1} for n in range(20)]
    write_rows(tmp_path / "in", "interactions", small_log() + once)
    prepare_folder(tmp_path / "in", minimum_interactions=5)
    assert said == [
        "20 of 26 users have fewer than data.minimum_interactions = 5 positives: their 20 of 56 "
        "are not trained on, nor are items known that only they had; another: --set "
        'data.minimum_interactions=NUMBER; in Python config={"minimum_interactions": NUMBER}'
    ]
    said.clear()
    prepare_folder(tmp_path / "in", minimum_interactions=1)
    write_rows(tmp_path / "more", "interactions", small_log() + once[:9])
    prepare_folder(tmp_path / "more", minimum_interactions=5)
    assert said == [], "a fifth may go"


def test_each_is_counted_once_with_what_it_lacks(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log() + FEW + LOW + OUTSIDE + BAD)
    described = [{"user_id": user, "age": 30} for user in ("u0", "few", "bad", "new 1", "new 2")]
    write_rows(tmp_path / "in", "users", described)
    dataset, report = prepare_folder(tmp_path / "in", minimum_interactions=5)
    assert users_left_out(report) == {
        "fewer positives than data.minimum_interactions": 3,
        "no usable row": 1,
        "in users.* alone, without a history": 2,
    }
    assert len(dataset.users) + sum(users_left_out(report).values()) == 12
    write_rows(tmp_path / "all", "interactions", small_log())
    assert users_left_out(prepare_folder(tmp_path / "all")[1]) == {}


def items_of(dataset, user):
    return dataset.items.ids(dataset.left_out.find([user])[user].history)


def test_a_user_below_the_minimum_has_a_history(prepared):
    dataset, _ = prepared
    assert items_of(dataset, "few") == ["i2", "i1", "i0"], "oldest first"
    found = dataset.left_out.find(["u0", "few", "stranger", "low", "outside", "bad", "", "\ud800"])
    assert {user: len(had.history) for user, had in found.items()} == {
        "few": 3,
        "low": 0,
        "outside": 0,
    }
    assert {user: had.excluded.tolist() for user, had in found.items()} == {
        "few": [],
        "low": [dataset.items.number("i1")],
        "outside": [],
    }


def test_users_without_a_training_row_have_a_history(tmp_path):
    log = small_log()
    log += [{"user_id": "new", "item_id": f"i{n}", "timestamp": 9000 + n} for n in range(2)]
    write_rows(tmp_path / "in", "interactions", log)
    dataset, report = prepare_folder(tmp_path / "in", protocol="temporal")
    assert report["users_without_training"] == report["users_left_out"] == 1
    assert items_of(dataset, "new") == ["i0", "i1"]


def test_users_who_are_not_in_the_split_have_a_history_of_their_positives(tmp_path):
    log = [row | {"rating": 1 + 4 * (n % 2)} for n, row in enumerate(small_log())]
    split = [{**row, "part": "train"} for row in log if row["user_id"] != "u3"]
    write_rows(tmp_path / "in", "interactions", log)
    dataset, report = prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))
    assert report["users_not_in_split"] == report["users_left_out"] == 1
    positive = [row["item_id"] for row in log if row["user_id"] == "u3" and row["rating"] == 5]
    assert items_of(dataset, "u3") == positive


def test_they_do_not_change_what_a_model_is_trained_on(tmp_path):
    found = []
    for name, log in (("a", small_log()), ("b", small_log() + FEW)):
        write_rows(tmp_path / name / "in", "interactions", log)
        dataset, _ = prepare_folder(tmp_path / name / "in", minimum_interactions=5)
        names = {path.name for path in dataset.folder.iterdir()} - {USERS, ITEMS, "report.json"}
        found.append({each: (dataset.folder / each).read_bytes() for each in sorted(names)})
        assert dataset.left_out.find(["few", "u0"]).keys() <= {"few"}
    assert found[0] == found[1]


@pytest.mark.parametrize("name", [USERS, ITEMS])
def test_a_damaged_file_is_named(prepared, name):
    dataset, _ = prepared
    (dataset.folder / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"left_out\.npy is missing or damaged; prepare"):
        dataset.left_out.find(["few"])


ROWS = st.lists(
    st.fixed_dictionaries({
        "user_id": st.sampled_from(["a", "b", "c", "", None]),
        "item_id": st.sampled_from(["x", "y", "z", "w", None]),
        "rating": st.sampled_from(["1", "5", None, "bad"]),
        "timestamp": st.sampled_from(["1", "2", None]),
    }),
    max_size=20,
)


@given(rows=ROWS)
@examples(10)
def test_every_user_is_accounted_for(tmp_path, rows):
    anchor = [
        {"user_id": "anchor", "item_id": item, "rating": "5", "timestamp": "1"} for item in "xyzw"
    ]
    write_rows(tmp_path / "in", "interactions", rows + anchor)
    dataset, report = prepare_folder(tmp_path / "in", minimum_interactions=2)
    named = {row["user_id"] for row in rows + anchor} - {"", None}
    assert report["users_read"] == len(named)
    left_out = report["users_below_minimum"] + report["users_without_training"]
    assert len(named) == report["users_refused"] + left_out + len(dataset.users)
    assert report["users_left_out"] == left_out
    for user, had in dataset.left_out.find(sorted(named)).items():
        of = [row for row in rows if row["user_id"] == user and row["item_id"]]
        usable = {row["item_id"] for row in of if row["rating"] != "bad"}
        history, excluded = (dataset.items.ids(items) for items in had)
        assert set(history) | set(excluded) == usable
        assert len(history) + len(excluded) == len(usable)
        assert had.history.dtype == had.excluded.dtype == np.int32
