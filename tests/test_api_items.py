"""Items added to a model in Python, from frames and files."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from cllm4rec import CLLM4Rec, progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError, RunError
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import remove_items
from support.trained import served_run


@pytest.fixture(scope="module")
def model(tmp_path_factory, backbone) -> CLLM4Rec:
    return CLLM4Rec.load(served_run(tmp_path_factory, backbone).path)


def test_items_of_a_frame_are_in_every_answer_at_once(model, tmp_path):
    users = model.recommender_.dataset.users.ids([4, 2])
    before = model.recommend(users, k=200)
    frame = pl.DataFrame({
        "item_id": ["new 1", "new 0"],
        "title": ["A Robot", "Galaxy, Orbit"],
        "genre": ["genre 7", None],
    })
    with progress.quiet():
        report = model.add_items(frame)
    assert (report["added"], report["items_added"]) == (2, 2)
    assert 0 <= report["share_of_lists"] <= 1
    after = model.recommend(users, k=200)
    for user in users:
        assert {"new 0", "new 1"} <= {item for item, _ in after[user]}
        assert [pair for pair in after[user] if "new" not in pair[0]] == before[user]
        assert [item for item, _ in model.recommend([user], where={"genre": "genre 7"})[user]] == [
            "new 1"
        ]
        assert isinstance(model.explain(user, "new 0"), list)
    assert "new 0" in model.dataset.items
    assert model.similar("new 1", k=3)[0][1] > 0.5
    assert len(model.recommend_for_history(["new 1"], k=3)) == 3
    table = model.recommend_table(users, k=200)
    assert "new 0" in table.column("item_id").to_pylist()
    with pytest.raises(InputError, match="added before: 'new 0', 'new 1'"):
        model.add_items(frame)
    model.save(tmp_path / "saved")
    again = CLLM4Rec.load(tmp_path / "saved")
    assert again.recommend(users, k=200) == after
    assert again.remove_items(["new 0"])["items_added"] == 1  # of the copy alone
    assert model.recommend(users, k=200) == after
    assert model.remove_items()["removed"] == 2
    assert model.recommend(users, k=200) == before


def test_attributes_in_other_capitals_are_kept_and_others_are_named(model):
    frame = pd.DataFrame({"Title": ["A Robot"], "GENRE": ["genre 7"], "Colour": ["red"]})
    frame.index = pd.Index(["new 1"], name="item_id")
    try:
        with progress.quiet():
            assert model.add_items(frame)["unread_columns"] == ["Colour"]
        user = model.dataset.users[0]
        assert model.recommend([user], where={"genre": "genre 7"})[user][0][0] == "new 1"
    finally:
        model.remove_items()


def test_an_index_that_has_the_mapped_name_is_read(model, monkeypatch):
    """As `from_frames` reads it; the run maps `item_id` to it."""
    columns = {"item_id": "asin"}
    settings, config = model.dataset.settings, model.recommender_.config
    mapped = config.changed(data={"columns": columns})
    monkeypatch.setattr(Recommender, "config", property(lambda _: mapped))
    monkeypatch.setattr(Dataset, "settings", property(lambda _: {**settings, "columns": columns}))
    frame = pd.DataFrame({"title": ["A Robot"]}, index=pd.Index(["new 1"], name="asin"))
    try:
        with progress.quiet():
            assert model.add_items(frame)["added"] == 1
    finally:
        model.remove_items()


def test_a_model_says_whom_it_knows_by_counts_alone(model):
    assert repr(CLLM4Rec()) == "CLLM4Rec(not fitted)"
    with pytest.raises(RunError, match="not fitted"):
        _ = CLLM4Rec().dataset
    dataset = model.recommender_.dataset
    counts = f"({len(dataset.users)} users, {len(dataset.items)} items)"
    assert repr(model) == f"CLLM4Rec{counts}"
    assert repr(model.dataset) == f"Dataset{counts}"
    assert list(model.dataset.users) == list(dataset.users)


def test_a_file_is_as_good_as_a_frame_and_anything_else_is_refused(model, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text('{"item_id": 7, "title": "A robot"}\n')
    with progress.quiet():
        assert model.add_items(file)["added"] == 1
        assert model.similar("7", k=1)
        model.remove_items(["7"])
    with pytest.raises(InputError, match="items is a list, not a data frame"):
        model.add_items([1])
    with pytest.raises(InputError, match="no file at"):
        model.add_items(str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="items is one text"):
        model.remove_items("7")


def test_histories_of_a_file_may_hold_added_items(model, tmp_path):
    with progress.quiet():
        model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["A robot"]}))
        log = pl.DataFrame({"user_id": ["x", "x"], "item_id": ["new", "item_000003"]})
        log = log.with_columns(position=pl.Series([0, 1]))
        log.write_parquet(tmp_path / "log.parquet")
        model.recommend_all(tmp_path / "lists", 5, histories=tmp_path / "log.parquet")
        everyone = model.recommend_all(tmp_path / "all", 61, seen=True)
        model.remove_items()
        with pytest.raises(InputError, match="lists of another model"):
            model.recommend_all(tmp_path / "all", 60, seen=True)
    found = pl.read_parquet(tmp_path / "lists" / "*.parquet")
    assert found["user_id"].unique().to_list() == ["x"]
    assert not {"new", "item_000003"} & set(found["item_id"])
    listed = pl.read_parquet(tmp_path / "all" / "*.parquet")
    assert (listed["item_id"] == "new").sum() == everyone["users"]


def test_the_path_of_a_saved_model_is_a_place_to_add_to(model, tmp_path):
    model.save(tmp_path / "saved")
    names = {path.name for path in Path(tmp_path / "saved").iterdir()}
    saved = CLLM4Rec.load(tmp_path / "saved")
    with progress.quiet():
        saved.add_items(pl.DataFrame({"item_id": ["new"], "text": ["A robot"]}))
        assert CLLM4Rec.load(tmp_path / "saved").similar("new", k=1)
        saved.remove_items(["new"])
    assert {path.name for path in Path(tmp_path / "saved").iterdir()} - {".lock"} == names


def test_a_model_whose_items_another_process_removed_can_be_saved(model, tmp_path):
    with progress.quiet():
        model.add_items(pl.DataFrame({"item_id": ["new"], "text": ["A robot"]}))
        remove_items(RunDir(model._folder), None)
    model.save(tmp_path / "saved")
    assert "new" not in CLLM4Rec.load(tmp_path / "saved").recommender_.dataset.items
    model.remove_items()
