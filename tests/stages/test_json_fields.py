"""docs/json.md names the fields that commands print with ``--json``: no more and no fewer."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cllm4rec.cli.app import cllm4rec
from cllm4rec.config.request import request_of
from cllm4rec.data.dataset import Dataset
from cllm4rec.planning import Size, plan
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items, remove_items
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.recommend_all import recommend_all
from cllm4rec.stages.similar import similar
from support.input_folder import write_rows
from support.trained import Trained

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
OTHER_WORDS = {"recommend", "history", "query", "profile", "coverage@20", "users_left_out", "note"}
"""In backticks there, and no field, or one that is there where it applies."""


def documented(command: str) -> set[str]:
    page = PAGE.read_text(encoding="utf-8")
    (cell,) = re.findall(rf"^\| {re.escape(command)} \| (.*) \|$", page, re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", cell))


def assert_documented(command: str, result: dict, *inner: dict) -> None:
    said, fields = documented(command), set(result)
    assert fields <= said
    assert said - OTHER_WORDS <= fields.union(*inner)


@pytest.fixture(scope="module")
def user(trained: Trained) -> str:
    return trained.world.user_ids[0]


def test_lists(trained, user, tmp_path):
    found = recommend(trained.run, users=[user], k=3)
    assert_documented("`recommend`", found, found["recommendations"][user][0])
    written = recommend(trained.run, k=3, out=tmp_path / "lists.csv")
    assert_documented("`recommend --out FILE`", written)
    shards = recommend_all(trained.run, k=3, out=tmp_path / "lists")
    assert_documented("`recommend --out FOLDER`", shards)
    item = found["recommendations"][user][0]["item_id"]
    near = similar(trained.run, [item], k=3)
    assert_documented("`similar`", near)
    assert set(near["similar"][item][0]) == set(found["recommendations"][user][0])


def test_results(trained, tmp_path):
    results = evaluate(trained.run)
    assert_documented("`evaluate`", results)
    row = results["rows"][0]
    measures = row["metrics"]
    assert_documented("· a row", row, *measures.values())
    assert {name for name, each in measures.items() if each["low"] is None} == {"coverage@20"}
    lists = trained.run.file("topk", "test.parquet")
    assert_documented("`evaluate --topk FILE`", evaluate(trained.run, topk=lists))


def test_added_items(trained, tmp_path):
    run = RunDir(trained.run.path)
    title = Dataset.open(run.file("data")).texts.item_titles[0]
    file = write_rows(tmp_path, "items", [{"item_id": "new", "title": title, "colour": "red"}])
    try:
        report = add_items(run, file)
        assert report["unread_columns"] == ["colour"]
        assert_documented("`add-items`", report)
    finally:
        removed = remove_items(run, None)
    assert_documented("`remove-items`", removed)


def test_plans_and_known_data(tmp_path):
    size = Size(users=1_000, items=500, interactions=20_000)
    assert_documented("`plan`", plan(size, request_of(None, []), device="H100"))
    told = CliRunner().invoke(cllm4rec, ["data", "planted-world", "--to", str(tmp_path), "--json"])
    assert_documented("`data`", json.loads(told.stdout))
