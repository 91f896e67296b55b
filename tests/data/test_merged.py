"""Held-out parts become training interactions, and histories with them where nobody is asked."""

import numpy as np
import pytest

from cllm4rec.data.merged import with_held_out
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder


def pairs(interactions) -> set[tuple[int, int]]:
    return set(zip(interactions.users().tolist(), interactions.items.tolist(), strict=True))


@pytest.fixture
def dataset(tmp_path):
    """Of forty users four are asked for in test and four in validation, by two of twelve items."""
    write_rows(tmp_path / "in", "interactions", small_log(40, 60, 12))
    return prepare_folder(tmp_path / "in", protocol="new-users")[0]


def test_without_a_test_part_every_history_is_trained_on(dataset):
    assert len(dataset.part("history")) == 80
    merged = with_held_out(dataset, keep_test=False)
    assert pairs(merged.part("train")) == pairs(dataset.interactions)


def test_users_who_are_still_asked_for_stay_new(dataset):
    merged = with_held_out(dataset, keep_test=True)
    test = np.flatnonzero(dataset.part("test").counts())
    assert len(test) == 4
    trained = merged.part("train").counts()
    assert (trained[test] == 0).all()
    assert (np.delete(trained, test) == 12).all()
    assert pairs(merged.part("test")) == pairs(dataset.part("test"))
    assert pairs(merged.known("test")) == pairs(dataset.known("test")), "what is asked from"
    assert not len(merged.part("valid"))


@pytest.mark.parametrize("keep_test", [False, True])
def test_without_histories_it_is_validation_and_test_alone(tmp_path, keep_test):
    write_rows(tmp_path / "in", "interactions", small_log())
    dataset, _ = prepare_folder(tmp_path / "in")
    known = dataset.known("test" if keep_test else "recommend")
    train = with_held_out(dataset, keep_test=keep_test).part("train")
    np.testing.assert_array_equal(train.items, known.items)
    np.testing.assert_array_equal(train.offsets, known.offsets)


def test_a_split_file_may_have_a_user_in_every_part(tmp_path):
    log = small_log(3, 8, 4)
    parts = {
        "u0": ["train", "valid", "history", "history"],
        "u1": ["train", "valid", "test", "history"],
        "u2": ["history", "history", "test", "valid"],
    }
    split = [
        {**row, "part": parts[row["user_id"]][n % 4]}
        for n, row in enumerate(sorted(log, key=lambda row: (row["user_id"], row["timestamp"])))
    ]
    path = write_rows(tmp_path, "split", split)
    write_rows(tmp_path / "in", "interactions", log)
    dataset, _ = prepare_folder(tmp_path / "in", split=path)
    kept, all_of_it = (with_held_out(dataset, keep_test=each) for each in (True, False))
    assert kept.part("train").counts().tolist() == [4, 2, 1]
    assert kept.part("history").counts().tolist() == [0, 1, 2]
    assert all_of_it.part("train").counts().tolist() == [4, 4, 4]
    assert dataset.part("train").counts().tolist() == [1, 1, 0], "unchanged"
