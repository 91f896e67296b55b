"""Columns that can be nothing, of structures or of pandas' own, are told from what users gave."""

import pandas as pd
import pytest

from cllm4rec.errors import InputError
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

NESTED = "not a text, a number or a list of them"
ITEMS = [
    {
        "item_id": f"i{n}",
        "title": f"Thing {n}",
        "details": {"form": f"powder {n}"} if n else None,
        "images": [{"thumb": f"u{n}"}],
        "tables": [[f"a{n}"], ["b"]],
        "kinds": [f"kind {n % 3}", "all"],
        "said": f"thing {n}",
        "empty": None,
    }
    for n in range(8)
]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_structures_have_one_reason_in_any_format(tmp_path, ending):
    write_rows(tmp_path / "in", "interactions", small_log())
    write_rows(tmp_path / "in", "items", ITEMS, ending)
    dataset, report = prepare_folder(tmp_path / "in")
    blank = "no value beyond title and text"
    assert report["refused_columns"]["items"] == {
        **dict.fromkeys(["details", "images", "tables"], NESTED),
        **dict.fromkeys(["said", "empty"], blank),
    }
    assert dataset.texts.item_features == {"kinds": [f"kind {n % 3}, all" for n in range(8)]}


def test_a_json_column_of_structures_and_texts_is_read_for_its_texts(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    items = [
        {"item_id": f"i{n}", "title": "t", "kind": {"a": 1} if n % 2 else [f"k{n}", {"a": 1}]}
        for n in range(8)
    ]
    write_rows(tmp_path / "in", "items", items, "jsonl")
    dataset, report = prepare_folder(tmp_path / "in")
    assert report["refused_columns"]["items"] == {}
    found = dataset.texts.item_features["kind"]
    assert found == [None if n % 2 else f"k{n}" for n in range(8)]


def test_a_text_of_json_objects_in_a_list_is_no_text(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    items = [
        {"item_id": "i0", "text": [{"en": "x"}]},
        {"item_id": "i1", "text": [["x"]]},
        {"item_id": "i2", "text": ["x", "y"]},
        {"item_id": "i3", "text": []},
    ]
    write_rows(tmp_path / "in", "items", items, "jsonl")
    dataset, report = prepare_folder(tmp_path / "in")
    assert report["refused"]["items"] == {"text is an object or a list": 2}
    assert dataset.texts.item_texts[:4] == [None, None, "x, y", None]


def test_what_pandas_keeps_of_an_index_is_no_column(tmp_path, said):
    """Not suggested as a rating, nor as a title, and neither a feature nor a filter."""
    log, items = pd.DataFrame(small_log()), pd.DataFrame({"item_id": [f"i{n}" for n in range(8)]})
    (tmp_path / "in").mkdir()
    log.sample(frac=1, random_state=1).to_parquet(tmp_path / "in" / "interactions.parquet")
    items.sample(frac=1, random_state=1).to_parquet(tmp_path / "in" / "items.parquet")
    dataset, report = prepare_folder(tmp_path / "in")
    index = {"__index_level_0__": "the index of a pandas frame"}
    assert report["refused_columns"] == {"interactions": index, "items": index, "users": {}}
    assert said == []
    assert dataset.texts.item_attributes == {}


@pytest.mark.parametrize("header", ["", "Unnamed: 0"])
def test_an_index_in_csv_is_no_column(tmp_path, said, header):
    (tmp_path / "in").mkdir()
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(8)]})
    for name, frame in {"interactions": pd.DataFrame(small_log()), "items": items}.items():
        frame.to_csv(tmp_path / "in" / f"{name}.csv", index_label=header or None)
    dataset, report = prepare_folder(tmp_path / "in")
    assert {*report["refused_columns"]["interactions"].values()} == {"the index of a pandas frame"}
    assert said == []
    assert dataset.texts.item_attributes == {}


def test_a_column_that_is_called_column0_is_one(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    users = [{"user_id": f"u{n}", "column0": "a" if n % 2 else "b"} for n in range(12)]
    write_rows(tmp_path / "in", "users", users, "csv")
    dataset, report = prepare_folder(tmp_path / "in")
    assert report["refused_columns"]["users"] == {}
    assert list(dataset.texts.user_features) == ["column0"]


def test_a_name_as_it_is_written_comes_before_one_in_other_capitals(tmp_path):
    """One map serves several files: `id` of the log is another thing than `Id` of the items."""
    log = [{"id": n, **row} for n, row in enumerate(small_log())]
    write_rows(tmp_path / "in", "interactions", log)
    items = [{"Id": f"i{n}", "title": f"Thing {n}"} for n in range(8)]
    write_rows(tmp_path / "in", "items", items)
    dataset, _ = prepare_folder(tmp_path / "in", columns={"item_id": "Id"})
    assert list(dataset.items) == [f"i{n}" for n in range(8)]
    assert dataset.texts.item_titles == [f"Thing {n}" for n in range(8)]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_capitals_of_a_standard_column_do_not_count(tmp_path, ending):
    items = [{"item_id": f"i{n}", "title": f"Thing {n}", "name": f"N{n}"} for n in range(8)]
    found = []
    for folder, written in (("small", str.lower), ("other", str.title), ("all", str.upper)):
        for name, rows in (("interactions", small_log()), ("items", items)):
            rows = [{written(key): value for key, value in row.items()} for row in rows]
            write_rows(tmp_path / folder, name, rows, ending)
        dataset, report = prepare_folder(tmp_path / folder)
        assert dataset.texts.item_titles == [f"Thing {n}" for n in range(8)]
        assert list(dataset.texts.item_attributes) == [written("name")]
        assert report["refused_columns"]["interactions"] == {}
        found.append(dataset.interactions.items.tolist())
        mapped, _ = prepare_folder(tmp_path / folder, columns={"title": "Name"})
        assert mapped.texts.item_titles == [f"N{n}" for n in range(8)]
    assert found[0] == found[1] == found[2]


def test_an_index_can_still_be_mapped(tmp_path):
    log = pd.DataFrame(small_log())
    (tmp_path / "in").mkdir()
    log.set_index("user_id").rename_axis(None).to_parquet(tmp_path / "in" / "interactions.parquet")
    dataset, _ = prepare_folder(tmp_path / "in", columns={"user_id": "__index_level_0__"})
    assert "u0" in dataset.users


def test_a_mapping_of_files_that_are_not_there_is_left_aside_and_said(tmp_path, said):
    """One mapping serves several folders; titles in the log alone are not read."""
    columns = {"title": "Name", "text": "Words", "part": "Role"}
    write_rows(tmp_path / "in", "interactions", small_log())
    prepare_folder(tmp_path / "in", columns=columns)
    mend = "and there is none; write one, with the column item_id"
    assert said == [
        f"data.columns.title = 'Name' is not used: a title is read from items.*, {mend}",
        "data.columns.text = 'Words' is not used: a text is read from items.* or reviews.*, "
        + mend,
    ]
    write_rows(tmp_path / "in", "items", [{"item_id": "i1", "Name": "One"}])
    with pytest.raises(InputError, match=r"data\.columns\.text = 'Words', but no file in"):
        prepare_folder(tmp_path / "in", columns=columns)
