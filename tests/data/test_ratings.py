"""Ratings of any scale: what is said of one that the default minimum is not for; true and false."""

import pytest

from cllm4rec.errors import InputError
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

STARS = [1, 2, 3, 3, 4, 4, 4, 5, 5, 5]


def prepared(tmp_path, ratings, ending="parquet", **changes):
    """A log of 210 rows whose ratings are these, in turn."""
    rows = [
        row | {"rating": ratings[at % len(ratings)]} for at, row in enumerate(small_log(10, 30, 21))
    ]
    write_rows(tmp_path / "in", "interactions", rows, ending)
    return prepare_folder(tmp_path / "in", **changes)


def note(lowest, highest, above):
    return (
        f"ratings run from {lowest} to {highest}; above data.minimum_rating = 3, and so positives, "
        f"are {above} of them; another: --set data.minimum_rating=NUMBER; "
        f'in Python config={{"minimum_rating": NUMBER}}'
    )


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ([10, 35, 60, 80, 95], note(10, 95, "all")),
        ([2, 4, 5, 7, 9, 10], note(2, 10, "83 %")),
        ([1, 1, 1, 2, 17], note(1, 17, "20 %")),
        ([0.5, 1.5, 4, 2.5], note(0.5, 4, "25 %")),
        (STARS, None),
        ([0.5, 3, 3.5, 5], None),
        ([1, 2, 3, 4, 5], None),
        ([4, 5], None),
        ([5], None),
    ],
)
def test_a_scale_that_the_default_is_not_for_is_said(tmp_path, said, ending, ratings, expected):
    _, report = prepared(tmp_path, ratings, ending)
    assert said == ([] if expected is None else [expected])
    assert report["ratings"] == {"lowest": min(ratings), "highest": max(ratings)}


def test_it_is_said_where_none_is_above_and_nobody_is_left(tmp_path, said):
    with pytest.raises(InputError, match="210 rows are not above"):
        prepared(tmp_path, [0.25, 1])
    assert said == [note(0.25, 1, "none")]


def test_it_is_not_said_of_a_minimum_that_was_chosen_nor_of_a_split_of_ones_own(tmp_path, said):
    ratings = [10, 35, 60, 80, 95]
    assert prepared(tmp_path, ratings, minimum_rating=50)[1]["not_positive"] == 84
    split = [
        {"user_id": row["user_id"], "item_id": row["item_id"], "part": "train"}
        for row in small_log(10, 30, 21)
    ]
    prepared(tmp_path, ratings, split=write_rows(tmp_path / "split", "split", split))
    assert said == []


def test_refused_ratings_and_missing_ones_are_no_part_of_the_scale(tmp_path, said):
    rows = [row | {"rating": str(STARS[at % 10])} for at, row in enumerate(small_log(10))]
    rows[0]["rating"] = None
    bad = [
        rows[1] | {"rating": "1e999"},
        rows[1] | {"rating": "50", "timestamp": -1},
        rows[1] | {"rating": "60", "user_id": ""},
    ]
    write_rows(tmp_path / "in", "interactions", rows + bad)
    _, report = prepare_folder(tmp_path / "in")
    assert report["ratings"] == {"lowest": 1, "highest": 5}
    assert said == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("minimum", [3.0, 0.0])
def test_true_is_a_positive_and_false_is_none(tmp_path, said, ending, minimum):
    _, report = prepared(tmp_path, [True, False, True], ending, minimum_rating=minimum)
    assert (report["not_positive"], report["kept"]["interactions"]) == (70, 140)
    assert report["refused"]["interactions"] == {}
    assert "ratings" not in report
    assert said == []


def test_true_and_false_in_a_text_are_read_as_pandas_writes_them(tmp_path):
    _, report = prepared(tmp_path, ["True", "false", " TRUE ", "", "5", "2", "yes"], "csv")
    assert report["not_positive"] == 60
    assert report["refused"]["interactions"] == {"bad rating": 30}
