"""The same log with texts of other items."""

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.permuted.texts import write_permuted
from cllm4rec.errors import InputError
from cllm4rec.experiments.plan import load_plan

PLAN = Path(__file__).parents[3] / "benchmarks" / "paper.toml"
PAIRS = [(f"u{user}", f"i{item}") for user in range(6) for item in range(5)]


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    users, items = zip(*PAIRS, strict=True)
    log = pa.table({"user_id": users, "item_id": items, "timestamp": range(len(PAIRS))})
    texts = [f"{user} on {item}" for user, item in PAIRS]
    ids = [f"i{item}" for item in range(5)]
    words = {"title": [f"title {id}" for id in ids], "text": [f"text {id}" for id in ids]}
    parts = ["test" if item == "i4" else "train" for item in items]
    for name, columns in {
        "interactions": log,
        "reviews": {"user_id": users, "item_id": items, "text": texts, "rating": range(len(PAIRS))},
        "items": {"item_id": ids, **words},
        "split": {"user_id": users, "item_id": items, "part": parts},
    }.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def permute(data, to, seed=0):
    to.mkdir()
    return write_permuted(data, data / "split.parquet", to, seed)


def rows(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def test_items_get_all_words_of_another(data, tmp_path):
    assert permute(data, tmp_path / "out")["items"] == 5
    items = rows(tmp_path / "out", "items")
    assert [row["item_id"] for row in items] == [f"i{item}" for item in range(5)]
    assert {row["title"] for row in items} == {f"title i{item}" for item in range(5)}
    assert any(row["title"] != f"title {row['item_id']}" for row in items)
    assert all(row["title"].split()[1] == row["text"].split()[1] for row in items)
    assert rows(tmp_path / "out", "interactions") == rows(data, "interactions")


def test_reviews_move_among_training_pairs_alone(data, tmp_path):
    assert permute(data, tmp_path / "out")["reviews"] == 24
    reviews = rows(tmp_path / "out", "reviews")
    training = [pair for pair in PAIRS if pair[1] != "i4"]
    assert [(row["user_id"], row["item_id"]) for row in reviews] == training
    assert sorted(row["text"] for row in reviews) == [
        f"{user} on {item}" for user, item in training
    ]
    assert any(row["text"] != f"{row['user_id']} on {row['item_id']}" for row in reviews)
    written = {f"{user} on {item}": place for place, (user, item) in enumerate(PAIRS)}
    assert all(row["rating"] == written[row["text"]] for row in reviews), "columns move together"


def test_other_files_come_along_and_other_forms_are_refused(data, tmp_path):
    pq.write_table(pa.table({"user_id": ["u0"], "age": [34]}), data / "users.parquet")
    assert list(permute(data, tmp_path / "out")) == ["interactions", "items", "reviews", "users"]
    assert rows(tmp_path / "out", "users") == [{"user_id": "u0", "age": 34}]
    (data / "interactions-2.csv").write_text("user_id,item_id\n")
    with pytest.raises(InputError, match=r"interactions-2\.csv is no Parquet file"):
        permute(data, tmp_path / "none")
    (data / "items.parquet").rename(data / "items.csv")
    with pytest.raises(InputError, match=r"items\.parquet"):
        permute(data, tmp_path / "neither")


def test_ids_may_be_numbers_in_one_file_and_texts_in_another(data, tmp_path):
    table = pq.read_table(data / "reviews.parquet")
    numbers = pa.array([int(id.as_py()[1:]) for id in table["user_id"]])
    pq.write_table(table.set_column(0, "user_id", numbers), data / "reviews.parquet")
    split = pq.read_table(data / "split.parquet")
    texts = pa.array([id.as_py()[1:] for id in split["user_id"]])
    pq.write_table(split.set_column(0, "user_id", texts), data / "split.parquet")
    assert permute(data, tmp_path / "out")["reviews"] == 24


def test_a_seed_is_a_permutation(data, tmp_path):
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        permute(data, tmp_path / name, seed)
    assert rows(tmp_path / "a", "reviews") == rows(tmp_path / "b", "reviews")
    assert rows(tmp_path / "a", "reviews") != rows(tmp_path / "c", "reviews")


def test_the_plan_names_the_folders_that_its_head_says_to_write(data, tmp_path):
    plan = tmp_path / "benchmarks" / "paper.toml"
    plan.parent.mkdir()
    head = PLAN.read_text().replace("../../shared/data", "../shared/data")
    plan.write_text(head)
    for name in re.findall(r'^data = "\.\./(.+)"$', head, re.MULTILINE):
        shutil.copytree(data, tmp_path / name)
        if name.startswith("shared"):
            shutil.copy(data / "split.parquet", tmp_path / name)
    loaded = load_plan(plan)
    assert all(model.config == "paper-small" for model in loaded.models.values())
    permuted = {name: Path(given.data).name for name, given in loaded.datasets.items()}
    for name in [name for name in permuted if name.endswith(" permuted")]:
        assert permuted[name] == permuted[name.removesuffix(" permuted")]
        assert f"runs/permuted/{permuted[name]}" in loaded.datasets[name].data
