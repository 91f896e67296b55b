"""Every row that is refused is counted, once, under the first reason that applies."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError
from support.examples import examples
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder

BAD_ROWS = [
    ({"user_id": None}, "no user_id"),
    ({"user_id": ""}, "no user_id"),
    ({"item_id": None}, "no item_id"),
    ({"item_id": ""}, "no item_id"),
    ({"user_id": None, "item_id": None}, "no user_id"),
    ({"rating": "good"}, "bad rating"),
    ({"rating": "nan"}, "bad rating"),
    ({"rating": "inf"}, "bad rating"),
    ({"rating": "-Infinity"}, "bad rating"),
    ({"rating": "1e999"}, "bad rating"),
    ({"timestamp": "2020-01-01"}, "timestamp not in seconds, as most are"),
    ({"timestamp": "01/02/2020"}, "bad timestamp"),
    ({"timestamp": "nan"}, "bad timestamp"),
    ({"timestamp": "inf"}, "bad timestamp"),
    ({"timestamp": "-1"}, "bad timestamp"),
    ({"timestamp": "253402300800"}, "timestamp not in seconds, as most are"),
    ({"timestamp": "1e30"}, "bad timestamp"),
    ({"position": "first"}, "bad position"),
    ({"position": "inf"}, "bad position"),
    ({"rating": "good", "timestamp": "-1", "position": "first"}, "bad rating"),
]
GOOD_ROWS = [
    {"timestamp": None},
    {"timestamp": "0"},
    {"timestamp": "253402300799"},
    {"timestamp": "1e9"},
    {"rating": None},
    {"position": None},
    {"position": "-3.5"},
]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_bad_row_of_the_log_is_counted_by_reason(tmp_path, ending):
    base = {"user_id": "u", "timestamp": "5", "rating": "5", "position": "1"}
    good = [base | {"item_id": f"good{n}"} | change for n, change in enumerate(GOOD_ROWS)]
    bad = [base | {"item_id": f"bad{n}"} | change for n, (change, _) in enumerate(BAD_ROWS)]
    write_rows(tmp_path / "in", "interactions", good + bad, ending)
    dataset, report = prepare_folder(tmp_path / "in")
    expected = Counter(reason for _, reason in BAD_ROWS)
    assert report["refused"]["interactions"] == expected
    assert report["read"] == len(good) + len(bad)
    assert report["kept"]["interactions"] == len(good)
    assert dataset.items.ids(range(len(dataset.items))) == [row["item_id"] for row in good]


def test_floats_that_are_no_numbers_are_refused_in_parquet_too(tmp_path):
    bad = [
        {"user_id": "u", "item_id": "x", "timestamp": math.inf, "rating": 5.0},
        {"user_id": "u", "item_id": "y", "timestamp": 1.0, "rating": math.nan},
    ]
    good = [
        {"user_id": "u", "item_id": f"i{n}", "timestamp": float(n), "rating": 4.0} for n in range(3)
    ]
    write_rows(tmp_path / "in", "interactions", bad + good)
    _, report = prepare_folder(tmp_path / "in")
    assert report["refused"]["interactions"] == {"bad rating": 1, "bad timestamp": 1}


def test_of_a_repeated_pair_the_latest_is_kept(tmp_path):
    rows = [
        {"user_id": "u", "item_id": "a", "timestamp": 9},
        {"user_id": "u", "item_id": "a", "timestamp": 1},
        {"user_id": "u", "item_id": "b", "timestamp": 5},
        {"user_id": "u", "item_id": "c", "timestamp": 7},
        {"user_id": "u", "item_id": "a", "timestamp": None},
    ]
    write_rows(tmp_path / "in", "interactions", rows)
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["refused"]["interactions"] == {"repeated pair": 2}
    assert histories(dataset, "test") == {"u": ["a"]}
    assert histories(dataset, "train") == {"u": ["b"]}


def test_a_rating_must_be_above_the_minimum(tmp_path):
    ratings = [None, 1, 3, 3.0001, 4, 5]
    rows = [
        {"user_id": "u", "item_id": f"i{n}", "rating": rating} for n, rating in enumerate(ratings)
    ]
    write_rows(tmp_path / "in", "interactions", rows)
    dataset, report = prepare_folder(tmp_path / "in")
    assert report["not_positive"] == 2
    assert dataset.items.ids(range(4)) == ["i0", "i3", "i4", "i5"]
    _, report = prepare_folder(tmp_path / "in", minimum_rating=0.0)
    assert report["not_positive"] == 0


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("timed", [True, False])
def test_of_a_pair_that_is_rated_again_the_newest_rating_counts(tmp_path, ending, timed):
    """In order of time, or of the file where there are no times."""
    again = [("i8", 5, 1), ("i9", 5, 2), ("i9", 1, 3), ("i8", 1, 0), ("i7", 1, 4), ("i7", 5, 5)]
    again = sorted(again, key=lambda row: row[2]) if not timed else again
    rows = [*small_log(3, items=7), *(
        {"user_id": "u0", "item_id": item, "rating": rating, "timestamp": when}
        for item, rating, when in again
    )]  # fmt: skip
    if not timed:
        rows = [{key: row.get(key) for key in ("user_id", "item_id", "rating")} for row in rows]
    write_rows(tmp_path / "in", "interactions", rows, ending)
    dataset, report = prepare_folder(tmp_path / "in")
    assert ("i7" in dataset.items, "i8" in dataset.items, "i9" in dataset.items) == (1, 1, 0)
    assert report["not_positive"] == 1
    assert report["refused"]["interactions"] == {"repeated pair": 3}


def test_users_below_the_minimum_are_counted(tmp_path):
    few = [{"user_id": "few", "item_id": f"i{n}", "timestamp": n} for n in range(4)]
    write_rows(tmp_path / "in", "interactions", small_log(3, each=5) + few)
    dataset, report = prepare_folder(tmp_path / "in", minimum_interactions=5)
    assert (report["users_below_minimum"], report["pairs_below_minimum"]) == (1, 4)
    assert "few" not in dataset.users
    assert len(dataset.users) == 3


def split_rows(log, parts=("train", "valid", "test")):
    return [
        {"user_id": row["user_id"], "item_id": row["item_id"], "part": parts[n % len(parts)]}
        for n, row in enumerate(log)
    ]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_bad_row_of_a_split_is_counted_by_reason(tmp_path, ending):
    log = small_log()
    bad = [
        {"user_id": None, "item_id": "i1", "part": "train"},
        {"user_id": "u1", "item_id": "", "part": "train"},
        {"user_id": "u1", "item_id": "i1", "part": "validation"},
        {"user_id": "u1", "item_id": "i1", "part": None},
        {"user_id": "u1", "item_id": "stranger", "part": "train"},
        {"user_id": "stranger", "item_id": "i1", "part": "test"},
        {"user_id": "u5", "item_id": "i4", "part": "train"},
        {"user_id": log[0]["user_id"], "item_id": log[0]["item_id"], "part": "test"},
    ]
    write_rows(tmp_path / "in", "interactions", log)
    split = write_rows(tmp_path / "other", "split", split_rows(log) + bad, ending)
    dataset, report = prepare_folder(tmp_path / "in", split=split)
    assert report["refused"]["split"] == {
        "no item_id": 1,
        "no user_id": 1,
        "pair not in the log": 3,
        "repeated pair": 1,
        "unknown part": 2,
    }
    assert report["kept"]["interactions"] == len(log)
    assert histories(dataset, "train")["u0"][0] == log[0]["item_id"], "the first row counts"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_bad_review_is_counted_by_reason(tmp_path, ending):
    log = small_log()
    reviews = [
        {"user_id": None, "item_id": "i1", "text": "x"},
        {"user_id": "u0", "item_id": "", "text": "x"},
        {"user_id": "u0", "item_id": "i0", "text": None},
        {"user_id": "u0", "item_id": "i0", "text": " \n "},
        {"user_id": "stranger", "item_id": "i0", "text": "x"},
        {"user_id": "u0", "item_id": "stranger", "text": "x"},
        {"user_id": "u0", "item_id": "i7", "text": "never bought"},
        {"user_id": "u0", "item_id": "i1", "text": "validation"},
        {"user_id": "u0", "item_id": "i2", "text": "test"},
        {"user_id": "u0", "item_id": "i0", "text": "kept"},
        {"user_id": "u0", "item_id": "i0", "text": "kept too"},
    ]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "reviews", reviews, ending)
    split = write_rows(tmp_path / "other", "split", split_rows(log))
    dataset, report = prepare_folder(tmp_path / "in", split=split)
    assert report["refused"]["reviews"] == {
        "no item_id": 1,
        "no text": 2,
        "no user_id": 1,
        "pair not in training": 3,
        "unknown item": 1,
        "unknown user": 1,
    }
    assert [texts for *_, texts in dataset.texts.reviews()] == [["kept", "kept too"]]


@pytest.mark.parametrize(
    "protocol", ["paper", "leave-last-out", "temporal", "new-users", "new-items"]
)
def test_reviews_of_held_out_pairs_never_reach_the_texts(tmp_path, protocol):
    log = small_log(users=20, items=30, each=10)
    reviews = [
        {key: row[key] for key in ("user_id", "item_id")}
        | {"text": f"{row['user_id']} on {row['item_id']}"}
        for row in log
    ]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "reviews", reviews)
    dataset, report = prepare_folder(tmp_path / "in", protocol=protocol)
    told = {text for *_, texts in dataset.texts.reviews() for text in texts}
    trained = {
        f"{user} on {item}" for user, items in histories(dataset, "train").items() for item in items
    }
    assert told == trained
    assert 0 < len(told) < len(reviews)
    assert sum(report["refused"]["reviews"].values()) == len(reviews) - len(told)


ROWS = st.lists(
    st.fixed_dictionaries({
        "user_id": st.sampled_from(["a", "b", "c", "", None]),
        "item_id": st.sampled_from(["x", "y", "z", "w", "v", None]),
        "rating": st.sampled_from(["1", "4", "5", None, "bad"]),
        "timestamp": st.sampled_from(["1", "2", None, "bad"]),
    }),
    max_size=40,
)


@given(rows=ROWS)
@examples(10)
def test_every_row_is_accounted_for(tmp_path, rows):
    """Read = refused + not positive + below the minimum + kept."""
    anchor = [
        {"user_id": "anchor", "item_id": item, "rating": "5", "timestamp": "1"} for item in "xyzw"
    ]
    write_rows(tmp_path / "in", "interactions", rows + anchor)
    _, report = prepare_folder(tmp_path / "in", minimum_interactions=2)
    assert report["read"] == len(rows) + 4
    assert report["read"] == (
        sum(report["refused"]["interactions"].values())
        + report["not_positive"]
        + report["pairs_below_minimum"]
        + report["pairs_without_training"]
        + report["kept"]["interactions"]
    )


def test_json_objects_and_lists_are_no_ids_and_no_titles(tmp_path):
    bad = [{"user_id": {"id": "u"}, "item_id": "i1"}, {"user_id": "u1", "item_id": ["i1"]}]
    write_rows(tmp_path / "in", "interactions", small_log() + bad, "jsonl")
    items = [{"item_id": ["i1"]}, {"item_id": "i2", "title": {"en": "x"}},
             {"item_id": "i3", "title": ["x"]}, {"item_id": "i4", "text": {"en": "x"}},
             {"item_id": "i5", "title": "kept", "text": ["a", "b"]}]  # fmt: skip
    write_rows(tmp_path / "in", "items", items, "jsonl")
    dataset, report = prepare_folder(tmp_path / "in")
    refused = {f"{column} is an object or a list": 1 for column in ("user_id", "item_id")}
    assert report["refused"]["interactions"] == refused
    assert report["refused"]["items"] == {
        "item_id is an object or a list": 1,
        "text is an object or a list": 1,
        "title is an object or a list": 2,
    }
    assert dataset.texts.item_titles[5] == "kept"
    assert dataset.texts.item_texts[5] == "a, b"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("every", [1, 3])
def test_a_european_date_and_a_decimal_comma_are_shown_with_their_mend(
    tmp_path, said, ending, every
):
    """Of all rows, which are then refused as a whole, or of some."""
    changed = {"timestamp": "17.06.2018 00:00", "rating": "5,0"}
    good = {"timestamp": "2018-06-17", "rating": "5.0"}
    rows = [
        {**row, **(good if place % every else changed)} for place, row in enumerate(small_log())
    ]
    write_rows(tmp_path / "in", "interactions", rows, ending)
    if every == 1:
        with pytest.raises(InputError, match="has no usable row"):
            prepare_folder(tmp_path / "in")
    else:
        prepare_folder(tmp_path / "in")
    name = f"interactions.{ending}"
    assert said[:2] == [
        f"{name}: a timestamp such as 17.06.2018 00:00 cannot be read; write ISO dates, such as "
        f"2018-06-17 or 2018-06-17 00:00, or unix times; days before months are read by "
        f"pd.to_datetime(…, dayfirst=True)",
        f"{name}: a rating such as 5,0 cannot be read; write a decimal point, such as 5.0",
    ]


@pytest.mark.parametrize(
    ("value", "may_be"),
    [("17/06/2018", True), ("3-4-18 9:00", True), ("06/17/2018", False), ("2018/06/17", False)],
)
def test_days_first_are_named_where_they_may_be(tmp_path, said, value, may_be):
    rows = [{**row, "timestamp": "2018-06-17"} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", [*rows, {**rows[0], "timestamp": value}])
    prepare_folder(tmp_path / "in")
    assert [("dayfirst" in line) for line in said] == [may_be]


def test_a_text_in_the_place_of_a_number_is_not_shown(tmp_path, said):
    bad = [{"user_id": "u", "item_id": "i", "timestamp": "Anna, 17.06.2018", "rating": "so good"}]
    good = [{**row, "timestamp": str(row["timestamp"])} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", [*bad, *good])
    prepare_folder(tmp_path / "in")
    assert said == []
