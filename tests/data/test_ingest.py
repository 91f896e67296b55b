import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from cllm4rec.data import ingest
from cllm4rec.errors import InputError
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder

WEIRD_IDS = [
    "007", "7", "07", "😀", "👩‍👩‍👧", "a b", " lead", "trail ", "tab\there", "new\nline",
    "cr\r\nlf", 'say "hi"', "it's", "a,b", "a;b", "#comment", "<item_5>", "<user_3>",
    "<|endoftext|>", "NULL", "null", "NaN", "true", "1e5", "1.0", "2020-01-01", "../../etc", "\\",
    "%s", "é", "e\u0301", "\u200b", "\ufeffbom", "日本語", "x" * 10_000,
]  # fmt: skip


def everything(folder):
    """All that was prepared, by value; the files' bytes may differ between writers."""
    arrays = [np.load(folder / f"{name}.npy").tolist() for name in ("offsets", "items", "parts")]
    tables = [
        pq.read_table(folder / f"{name}.parquet").to_pydict()
        for name in ("users", "items", "reviews")
    ]
    return arrays, tables, json.loads((folder / "report.json").read_text())


def folder_of(tmp_path, ending):
    """The same input in one of the formats."""
    folder = tmp_path / ending
    log = [row | {"rating": 3 + n % 3} for n, row in enumerate(small_log(12, 15, 12))]
    items = [{"item_id": f"i{n}", "title": f"Item {n}", "year": 1990 + n % 3} for n in range(0, 20)]
    users = [{"user_id": f"u{n}", "city": "Łódź, PL" if n % 2 else None} for n in range(5)]
    reviews = [
        {"user_id": row["user_id"], "item_id": row["item_id"], "text": 'so "good",\nreally'}
        for row in log[::2]
    ]
    for stem, rows in (
        ("interactions", log), ("items", items), ("users", users), ("reviews", reviews)
    ):  # fmt: skip
        write_rows(folder, stem, rows, ending)
    return folder


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_the_name_of_the_input_folder_does_not_matter(tmp_path, ending):
    """Each file is opened alike, the split file too."""
    plain = folder_of(tmp_path, ending)
    split = [
        {"user_id": row["user_id"], "item_id": row["item_id"], "part": "train"}
        for row in small_log(12, 15, 12)
    ]
    write_rows(plain, "split", split, ending)
    for beside in ("data1", "star2"):
        write_rows(tmp_path / "in" / beside, "interactions", small_log(3), ending)
        write_rows(tmp_path / "in" / beside, "split", split[:9], ending)
    dataset, _ = prepare_folder(plain, split=plain / f"split.{ending}")
    expected = everything(dataset.folder)
    for name in ("user_id=77", "title=Foo", "data[1]", "star*"):
        named = shutil.copytree(plain, tmp_path / "in" / name)
        dataset, _ = prepare_folder(named, split=named / f"split.{ending}")
        assert everything(dataset.folder) == expected, name


@pytest.mark.parametrize("protocol", ["paper", "temporal", "new-users"])
def test_the_format_of_the_files_does_not_matter(tmp_path, protocol):
    found = []
    for ending in ("parquet", "csv", "jsonl"):
        dataset, _ = prepare_folder(folder_of(tmp_path, ending), protocol=protocol)
        found.append(everything(dataset.folder))
    assert found[0] == found[1] == found[2]
    assert found[0][2]["kept"]["reviews"] > 0


def test_the_order_of_rows_does_not_matter(tmp_path):
    """Several pairs of a user have one time; of several rows of a pair the times differ."""
    log = [row | {"timestamp": n // 5} for n, row in enumerate(small_log(12, 15, 12))]
    log = list({(row["user_id"], row["item_id"]): row for row in log}.values())
    found = []
    for rows in (log, log[::-1]):
        write_rows(tmp_path / "in", "interactions", rows)
        dataset, _ = prepare_folder(tmp_path / "in")
        found.append(everything(dataset.folder))
    assert found[0] == found[1]


def test_users_whose_newest_item_was_drawn_are_counted_and_said(tmp_path, capsys):
    """Of users 0 to 9 the last four items have one time; one of them has positions there."""
    log = [
        {
            "user_id": f"u{user}",
            "item_id": f"i{item}",
            "timestamp": min(item, 4) if user < 3 else item,
        }
        for user in range(10)
        for item in range(8)
    ]
    for row in log[:8]:
        row["position"] = int(row["item_id"][1:])
    write_rows(tmp_path / "in", "interactions", log)
    _, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["newest_drawn"] == 2
    assert "2 of 10 users have several newest items of one time" in capsys.readouterr().err
    _, report = prepare_folder(tmp_path / "in", protocol="paper")
    assert "newest_drawn" not in report


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_ids_of_any_text_come_back_as_they_were(tmp_path, ending):
    rows = [
        {"user_id": user_id, "item_id": WEIRD_IDS[(place + step) % len(WEIRD_IDS)]}
        for place, user_id in enumerate(WEIRD_IDS)
        for step in range(4)
    ]
    write_rows(tmp_path / "in", "interactions", rows, ending)
    named = [{"item_id": each, "title": f"title of {each[:20]}"} for each in WEIRD_IDS]
    write_rows(tmp_path / "in", "items", named, ending)
    dataset, report = prepare_folder(tmp_path / "in")
    expected = sorted(WEIRD_IDS)
    assert dataset.users.ids(range(len(dataset.users))) == expected
    assert dataset.items.ids(range(len(dataset.items))) == expected
    assert dataset.texts.item_titles == [f"title of {each[:20]}" for each in expected]
    assert report["refused"]["interactions"] == {}
    pairs = {
        (user_id, item_id)
        for part in ("train", "valid", "test")
        for user_id, items in histories(dataset, part).items()
        for item_id in items
    }
    assert pairs == {(row["user_id"], row["item_id"]) for row in rows}


def test_a_history_is_in_the_order_of_time_then_position_then_file(tmp_path):
    rows = [
        {"user_id": "u", "item_id": item, "timestamp": when, "position": place}
        for item, when, place in [
            ("g", 9, 1), ("b", None, 7), ("d", 5, 2), ("c", 5, None), ("e", 5, 3), ("f", 5, 3),
            ("a", None, 1),
        ]
    ]  # fmt: skip
    write_rows(tmp_path / "in", "interactions", rows)
    split = [{"user_id": "u", "item_id": item, "part": "train"} for item in "gfedcba"]
    dataset, _ = prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))
    assert histories(dataset, "train") == {"u": ["a", "b", "c", "d", "e", "f", "g"]}


def test_a_split_file_is_taken_as_it_is(tmp_path):
    """Low ratings and short histories too; what it leaves out is no part of the catalogue."""
    log = [*small_log(2, 8, 3), {"user_id": "u1", "item_id": "i7", "timestamp": 1, "rating": 1}]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "items", [{"item_id": f"i{n}", "title": f"t{n}"} for n in range(9)])
    split = [
        {"user_id": "u0", "item_id": "i0", "part": "train"},
        {"user_id": "u1", "item_id": "i1", "part": "test"},
        {"user_id": "u1", "item_id": "i7", "part": "history"},
    ]
    path = write_rows(tmp_path, "split", split)
    dataset, report = prepare_folder(tmp_path / "in", split=path, minimum_interactions=5)
    assert dataset.items.ids(range(len(dataset.items))) == ["i0", "i1", "i7"]
    assert histories(dataset, "train") == {"u0": ["i0"]}
    assert histories(dataset, "test") == {"u1": ["i1"]}
    assert histories(dataset, "history") == {"u1": ["i7"]}
    assert report["not_in_split"] == 4
    assert report["split"] == "file"


def test_a_split_file_keeps_a_user_who_has_test_items_only(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(2, 8, 3))
    split = [
        {"user_id": "u0", "item_id": "i0", "part": "train"},
        {"user_id": "u1", "item_id": "i1", "part": "test"},
    ]
    dataset, _ = prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", split))
    assert dataset.known("test").counts().tolist() == [1, 0]


def test_a_split_without_training_is_refused(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    alien = [{"user_id": "other", "item_id": "other", "part": "train"}]
    with pytest.raises(InputError, match=r"no train row \(pair not in the log: 1\)"):
        prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", alien))
    tests = [{"user_id": "u0", "item_id": "i0", "part": "test"}]
    with pytest.raises(InputError, match=r"no train row \(1 rows of other parts\)"):
        prepare_folder(tmp_path / "in", split=write_rows(tmp_path, "split", tests))


@pytest.mark.parametrize("split", [False, True])
def test_the_catalogue_may_hold_items_nobody_has_touched(tmp_path, split):
    log = small_log(4, 6, 5)
    items = [{"item_id": each, "title": f"t{each}"} for each in ("i0", "zz", "aa", "zz", None)]
    write_rows(tmp_path / "in", "interactions", log)
    write_rows(tmp_path / "in", "items", items)
    given = [{k: row[k] for k in ("user_id", "item_id")} | {"part": "train"} for row in log]
    path = write_rows(tmp_path, "split", given) if split else None
    dataset, report = prepare_folder(tmp_path / "in", split=path, catalogue="all")
    ids = dataset.items.ids(range(len(dataset.items)))
    assert ids == ["aa", "i0", "i1", "i2", "i3", "i4", "i5", "zz"]
    titles = dict(zip(ids, dataset.texts.item_titles, strict=True))
    assert (titles["aa"], titles["i0"], titles["i1"]) == ("taa", "ti0", None)
    assert dataset.part("train").item_counts()[[0, 7]].tolist() == [0, 0]
    assert report["refused"]["items"] == {"no item_id": 1, "repeated item_id": 1}
    dataset, _ = prepare_folder(tmp_path / "in", split=path)
    assert len(dataset.items) == 6


@pytest.mark.parametrize(("written", "without"), [("i{}", 3), ("00{}", 8)])
def test_items_that_the_items_file_does_not_name_are_counted(tmp_path, written, without):
    """Ids written otherwise in one of the files would else pass unseen."""
    write_rows(tmp_path / "in", "interactions", small_log(items=8))
    items = [{"item_id": written.format(n), "title": "t"} for n in (0, 1, 2, 3, 4, 4, 99)]
    write_rows(tmp_path / "in", "items", items)
    _, report = prepare_folder(tmp_path / "in")
    assert report["items_without_row"] == without
    _, report = prepare_folder(tmp_path / "in", catalogue="all")
    assert report["items_without_row"] == without
    (tmp_path / "in" / "items.parquet").unlink()
    _, report = prepare_folder(tmp_path / "in")
    assert "items_without_row" not in report


def test_columns_can_be_mapped(tmp_path):
    names = {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime",
             "rating": "overall", "text": "reviewText"}  # fmt: skip
    rows = [
        {"reviewerID": row["user_id"], "asin": row["item_id"], "unixReviewTime": row["timestamp"],
         "overall": 5, "reviewText": "fine"}
        for row in small_log()
    ]  # fmt: skip
    write_rows(tmp_path / "in", "interactions", rows)
    write_rows(tmp_path / "in", "reviews", rows)
    write_rows(tmp_path / "in", "items", [{"asin": "i0", "text": "unmapped"}])
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out", columns=names)
    assert dataset.texts.item_texts[0] == "unmapped"
    assert report["kept"]["reviews"] == report["kept"]["train"] > 0


def test_a_mapped_column_that_is_nowhere_is_refused(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    with pytest.raises(InputError, match=r"data\.columns\.timestamp = 'tiem', but no file .*there"):
        prepare_folder(tmp_path / "in", columns={"timestamp": "tiem"})


@pytest.mark.parametrize("stem", ["items", "users", "reviews"])
def test_every_file_needs_its_key(tmp_path, stem):
    write_rows(tmp_path / "in", "interactions", small_log())
    write_rows(tmp_path / "in", stem, [{"name": "x"}])
    with pytest.raises(InputError, match=rf"{stem}\.parquet has no column '(user|item)_id'"):
        prepare_folder(tmp_path / "in")


def test_an_empty_log_is_refused(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "interactions.csv").write_text("user_id,item_id\n")
    with pytest.raises(InputError, match=r"has no usable row \(it has no rows\)"):
        prepare_folder(folder)


def test_a_log_of_bad_rows_says_why(tmp_path):
    rows = [{"user_id": "u", "item_id": "", "timestamp": 1}] * 3
    rows += [{"user_id": "u", "item_id": "i", "timestamp": -1}] * 2
    write_rows(tmp_path / "in", "interactions", rows)
    expected = r"no usable row \(bad timestamp: 2, no item_id: 3\).* or ISO dates"
    with pytest.raises(InputError, match=expected):
        prepare_folder(tmp_path / "in")


def test_thresholds_that_leave_nobody_say_so(tmp_path):
    rows = [row | {"rating": 1 + n % 4} for n, row in enumerate(small_log())]
    write_rows(tmp_path / "in", "interactions", rows)
    with pytest.raises(
        InputError,
        match=r"27 rows are not above data\.minimum_rating = 3 and 6 users have fewer than "
        r"data\.minimum_interactions = 5; lower one with --set",
    ):
        prepare_folder(tmp_path / "in", minimum_interactions=5)


def test_rows_that_were_refused_are_named_where_nobody_is_left(tmp_path):
    """Here all but one row of each user have no number for a time."""
    rows = [
        row | {"timestamp": str(row["timestamp"]) if n % 6 == 0 else "yesterday"}
        for n, row in enumerate(small_log(each=6))
    ]
    write_rows(tmp_path / "in", "interactions", rows)
    with pytest.raises(
        InputError,
        match=r"no user is left: 30 rows are refused \(bad timestamp: 30\), 6 users have fewer "
        r"than data\.minimum_interactions = 5; mend the rows or lower that with --set",
    ):
        prepare_folder(tmp_path / "in", minimum_interactions=5)


def test_one_user_with_one_interaction_is_refused_in_one_line(tmp_path):
    write_rows(tmp_path / "in", "interactions", [{"user_id": "u", "item_id": "i", "timestamp": 1}])
    with pytest.raises(InputError, match=r"leaves nothing for valid out of 1 positive pairs"):
        prepare_folder(tmp_path / "in")


def test_a_user_with_one_interaction_among_others_is_trained_on(tmp_path):
    log = [*small_log(), {"user_id": "one", "item_id": "i0", "timestamp": 1}]
    write_rows(tmp_path / "in", "interactions", log)
    dataset, _ = prepare_folder(tmp_path / "in")
    assert histories(dataset, "train")["one"] == ["i0"]


def test_an_unknown_protocol_is_refused(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    with pytest.raises(InputError, match="unknown protocol 'chance'"):
        prepare_folder(tmp_path / "in", protocol="chance")


def test_a_failure_leaves_the_earlier_data_and_nothing_else(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    dataset, _ = prepare_folder(tmp_path / "in")
    before = everything(dataset.folder)
    write_rows(tmp_path / "in", "items", [{"wrong": 1}])
    with pytest.raises(InputError):
        prepare_folder(tmp_path / "in")
    assert everything(dataset.folder) == before
    assert [path.name for path in dataset.folder.parent.iterdir()] == ["data"]


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    write_rows(tmp_path / "in", "interactions", small_log())
    monkeypatch.setattr(ingest, "write_reviews", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_folder(tmp_path / "in")
    assert list((tmp_path / "prepared").iterdir()) == []


def test_an_error_says_nothing_of_the_data(tmp_path):
    """Messages end up in logs; ids and texts must not."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "interactions.csv").write_text("user_id,item_id\nsecret,a\nsecret,b,c\n")
    with pytest.raises(InputError) as caught:
        prepare_folder(folder)
    assert "secret" not in str(caught.value)
