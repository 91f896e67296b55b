"""What is said where the log and the files of items and users do not know the same ids."""

import pytest

from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

LIKE_THE_LOG = "ids must be written alike in both files"


def prepared(tmp_path, in_log, in_items, ending="csv", numbers=range(8), **changes):
    """A log of eight items, and an items' file of some; ids written each in its own way."""
    log = [row | {"item_id": in_log.format(int(row["item_id"][1:]))} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", log, ending)
    items = [{"item_id": in_items.format(n), "title": f"t{n}"} for n in numbers]
    write_rows(tmp_path / "in", "items", items, ending)
    return prepare_folder(tmp_path / "in", **changes)[1]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("in_log", "in_items", "spelling"),
    [
        ("{}.0", "{}", "without .0 at the end"),
        ("{}", "{}.00", "without .0 at the end"),
        ("{:05}", "{}", "without leading zeros"),
        ("{}", "{:02}", "without leading zeros"),
        ("i{}", " i{} ", "without blanks around them"),
        ("I{}", "i{}", "in small letters"),
        ("{:05}", "{}.0", "without .0 at the end and without leading zeros"),
        ("{}", "{:02}.0 ",
         "without blanks around them and without .0 at the end and without leading zeros"),
    ],
)  # fmt: skip
def test_the_spelling_that_would_match_is_named(tmp_path, said, ending, in_log, in_items, spelling):
    report = prepared(tmp_path, in_log, in_items, ending)
    assert report["items_without_row"] == 8
    assert said == [
        f"8 of 8 items have no row in items.{ending}: no title, no text; {spelling} 8 of them "
        f"would have one; {LIKE_THE_LOG}"
    ]


def test_nothing_is_promised_where_no_spelling_matches(tmp_path, said):
    prepared(tmp_path, "{}", "i{}")
    assert said == [f"8 of 8 items have no row in items.csv: no title, no text; {LIKE_THE_LOG}"]


def some_without_zeros(tmp_path, items):
    """A log of eight items, of which the last row is of a ninth: the second without its zeros."""
    log = [row | {"item_id": f"{row['item_id'][1:]:0>5}"} for row in small_log()]
    log[-1]["item_id"] = "1"
    write_rows(tmp_path / "in", "interactions", log, "csv")
    if items:
        rows = [{"item_id": item_id, "title": f"t{item_id}"} for item_id in items]
        write_rows(tmp_path / "in", "items", rows, "csv")
    return prepare_folder(tmp_path / "in", protocol="leave-last-out", minimum_interactions=1)[1]


def test_a_spelling_is_named_however_few_it_is_of(tmp_path, said):
    report = some_without_zeros(tmp_path, [f"{n:05}" for n in range(8)])
    assert report["items_without_row"] == 1
    assert said == [
        f"1 of 9 items have no row in items.csv: no title, no text; without leading zeros 1 of "
        f"them would have one; {LIKE_THE_LOG}"
    ]


@pytest.mark.parametrize("items", [[], [*(f"{n:05}" for n in range(8)), "1"]])
def test_an_item_that_the_log_has_in_two_spellings_is_said(tmp_path, said, items):
    some_without_zeros(tmp_path, items)
    assert said == [
        "1 of 9 items would be another one without leading zeros, and count as two; ids must be "
        "written alike in the whole log"
    ]


@pytest.mark.parametrize(("described", "told"), [(0, True), (4, True), (5, False), (8, False)])
@pytest.mark.parametrize("catalogue", ["interactions", "all"])
def test_half_of_the_logs_items_are_many(tmp_path, said, described, told, catalogue):
    """Items that nobody has had do not make them fewer."""
    numbers = [*range(described), *range(100, 140)]
    report = prepared(tmp_path, "i{}", "i{}", numbers=numbers, catalogue=catalogue)
    assert report["items_without_row"] == 8 - described
    what = f"{8 - described} of 8 items have no row in items.csv: no title, no text"
    nobodys = 40 if catalogue == "interactions" else 0
    assert report["items_without_interactions"] == nobodys
    alone = "40 items of items.csv have no interaction that is kept and are not known; they are "
    mends = (
        'with --set data.catalogue=all, in Python config={"catalogue": "all"}, or once add-items '
        "has added them"
    )
    assert said == ([f"{what}; {LIKE_THE_LOG}"] if told else [alone + mends] * bool(nobodys))


@pytest.mark.parametrize(("further", "told"), [(4, False), (5, True)])
def test_items_that_nobody_had_are_counted(tmp_path, said, further, told):
    report = prepared(tmp_path, "i{}", "i{}", numbers=range(8 + further))
    assert report["items_without_interactions"] == further
    assert bool(said) == told


def with_users(tmp_path, in_file):
    log = [row | {"user_id": f"{row['user_id'][1:]:0>5}"} for row in small_log()]
    write_rows(tmp_path / "in", "interactions", log, "csv")
    rows = [{"user_id": user_id, "country": "NL"} for user_id in in_file]
    write_rows(tmp_path / "in", "users", rows, "csv")
    return prepare_folder(tmp_path / "in")[1]


def test_the_spelling_of_users_that_would_match_is_named(tmp_path, said):
    report = with_users(tmp_path, ["00000", "00001", "2", "3", "99"])
    assert report["users_without_interactions"] == 3
    assert said == [
        f"3 of 5 users of users.csv are not in the log; without leading zeros 2 of them would be; "
        f"{LIKE_THE_LOG}"
    ]


@pytest.mark.parametrize("in_file", [["00000", "00001", "00002", "3", "4"], ["00000", "97", "98"]])
def test_few_users_and_those_of_no_spelling_are_only_counted(tmp_path, said, in_file):
    assert with_users(tmp_path, in_file)["users_without_interactions"] == 2
    assert said == []


def test_several_spellings_of_users_at_once_are_named(tmp_path, said):
    with_users(tmp_path, ["0.0", "1.0", "2.0"])
    assert said == [
        f"3 of 3 users of users.csv are not in the log; without .0 at the end and without leading "
        f"zeros 3 of them would be; {LIKE_THE_LOG}"
    ]


@pytest.mark.parametrize("users", [None, ["u0", "u1"]])
@pytest.mark.parametrize(
    ("other", "spelling"), [("U1", "in small letters"), ("u1 ", "without blanks around them")]
)
def test_a_user_that_the_log_has_in_two_spellings_is_said(tmp_path, said, users, other, spelling):
    log = small_log()
    log[-1]["user_id"] = other
    write_rows(tmp_path / "in", "interactions", log)
    if users:
        write_rows(tmp_path / "in", "users", [{"user_id": user, "age": 1} for user in users])
    prepare_folder(tmp_path / "in", minimum_interactions=5)
    assert said == [
        f"1 of 7 users would be another one {spelling}, and count as two; ids must be written "
        f"alike in the whole log"
    ]


@pytest.mark.parametrize(("item", "user", "kinds"), [
    ("{}.0", "u{}", ["item"]),
    ("{}", "{}.0", ["user"]),
    ("{}.00", "{}.0", ["item", "user"]),
    ("{}.5", "{}.", []),
])  # fmt: skip
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_ids_that_are_all_floats_are_said(tmp_path, said, item, user, kinds, ending):
    log = [
        {"item_id": item.format(row["item_id"][1:]), "user_id": user.format(row["user_id"][1:])}
        for row in small_log()
    ]
    write_rows(tmp_path / "in", "interactions", log, ending)
    prepare_folder(tmp_path / "in")
    notes = [note for note in said if "end in .0" in note]
    assert [note.split()[1] for note in notes] == kinds
    assert all(note.endswith("read the column as Int64, and write it again") for note in notes)
    log[0]["item_id"], log[0]["user_id"] = "x", "y"
    said.clear()
    write_rows(tmp_path / "in", "interactions", log, ending)
    prepare_folder(tmp_path / "in")
    assert not any("end in .0" in note for note in said)
