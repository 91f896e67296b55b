"""What is wrong at sight is one line, before the libraries that learn are loaded."""

import json
import os
import sys
from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.cli import main
from cllm4rec.data.dataset import Dataset
from cllm4rec.run import RunDir, seal
from support.input_folder import small_log, write_rows


@pytest.fixture(autouse=True)
def _any_run_is_ready() -> None:
    """Here `ready` is asked."""


@pytest.fixture
def run(tmp_path, monkeypatch) -> RunDir:
    """A trained run, as far as one can see; to load its model would end the test."""
    run = RunDir(tmp_path / "run").create()
    run.finish("prepare", [], 1.0)
    run.finish("finetune", [], 1.0, identity="a")
    for name in ("recommend", "recommend_all", "refit", "evaluate"):
        monkeypatch.setitem(sys.modules, f"cllm4rec.stages.{name}", None)
    return run


@pytest.fixture
def said(run, capsys):
    """A function that runs a command and gives its one line."""

    def refused(*arguments: object, at: Path | None = None) -> str:
        command, *rest = map(str, arguments)
        with pytest.raises(SystemExit) as end:
            main([command, "--run", str(at or run.path), *rest])
        err = capsys.readouterr().err
        assert (end.value.code, err.count("\n")) == (2, 1), err
        return err

    return refused


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "0", "1e9"])
def test_a_weight_that_is_none(said, weight):
    line = said("recommend", "--query", "quiet drama", f"--query-weight={weight}")
    assert "the query's weight is" in line


@pytest.mark.parametrize("query", ["", "  ", "?!"])
def test_a_query_without_words(said, query):
    assert "the query has no words; give some" in said("recommend", "--query", query)


def test_a_query_that_is_too_long(said):
    assert "the query has 2,000 characters" in said("recommend", "--query", "ab" * 1000)


def test_a_place_where_no_lists_can_be_written(said, run, tmp_path):
    mine = tmp_path / "mine.parquet"
    mine.write_text("mine")
    users = ("recommend", "--users", "u", "--out")
    everyone = ("recommend", "--all", "--out")
    assert "exists and is not a top-k file" in said(*users, mine)
    assert "exists and is not a top-k file" in said(*everyone, mine)
    assert "--users writes one file, not" in said(*users, tmp_path)
    assert f"lies in the run {run.path}" in said(*everyone, run.file("lists"))
    other = tmp_path / "notes"
    other.write_text("mine")
    assert "is a file; choose a folder" in said(*everyone, other)
    for given in ((*users, "/proc/lists.parquet"), (*everyone, "/proc/lists")):
        assert "nothing can be written in /proc (" in said(*given)
    assert (mine.read_text(), other.read_text()) == ("mine", "mine")
    assert sorted(os.listdir(tmp_path)) == ["mine.parquet", "notes", "run"]


def test_a_folder_that_refit_cannot_write(said, run, tmp_path):
    other = RunDir(tmp_path / "other").create()
    other.finish("prepare", [], 1.0)
    again = RunDir(tmp_path / "again").create()
    again.finish("prepare", [], 1.0, refit={"identity": "b"})
    assert f"--to {run.path} is the trained run itself, which stays" in said(
        "refit", "--to", run.path
    )
    for place in (other, again):
        line = said("refit", "--to", place.path)
        assert f"--to {place.path} is another run, or of another training" in line
    assert f"lies in the run {run.path}" in said("refit", "--to", run.file("again"))
    assert "nothing can be written in /proc (" in said("refit", "--to", "/proc/again")


@pytest.mark.parametrize("name", [".data", "source", "model", "split.parquet"])
def test_what_a_run_of_refit_would_replace_stays(said, tmp_path, name):
    mine = tmp_path / "mine" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    assert f"--to {mine.parent} is no run, and a run would replace its {name}" in said(
        "refit", "--to", mine.parent
    )
    assert (os.listdir(mine.parent), mine.read_text()) == ([name], "mine")


def test_a_folder_within_a_run_is_none(said, run):
    model = run.file("model")
    model.mkdir()
    (model / "model.json").write_text(json.dumps({}))
    seal(model, "model.json")
    for given in (("recommend", "--users", "u"), ("evaluate",), ("refit", "--to", "new")):
        line = said(*given, at=model)
        assert f"{model} lies in the run {run.path}; give --run {run.path}" in line


def test_what_has_nothing_to_be_measured_on(said, run, tmp_path):
    saved = tmp_path / "saved"
    (saved / "model").mkdir(parents=True)
    (saved / "model" / "model.json").write_text(json.dumps({}))
    seal(saved, "model")
    line = said("evaluate", at=saved)
    assert f"{saved} is a saved model, which cannot be evaluated; the run that" in line
    assert "`cllm4rec evaluate --run RUN`" in line
    run.finish("prepare", [], 1.0, refit={"identity": "b", "keep_test": False})
    for given in (("evaluate",), ("evaluate", "--topk", __file__)):
        line = said(*given)
        assert f"{run.path} was made by refit and trained on everything" in line
        assert "evaluate the run that it was made from, or make it with" in line
        assert "`cllm4rec refit --keep-test`" in line


def test_users_and_columns_that_are_not_there(said, run, tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log())
    write_rows(tmp_path / "in", "items", [{"item_id": "i0", "title": "x", "genre": "y"}])
    with progress.quiet():  # that most items have no row
        Dataset.load(tmp_path / "in", folder=tmp_path / "data", config={"minimum_interactions": 1})
    (tmp_path / "data").rename(run.file("data"))
    assert "NOPE" in said("recommend", "--users", "NOPE")
    assert "'U0': did you mean 'u0'?" in said("recommend", "--users", "U0")
    assert "in a shell u0 u1, else" in said("recommend", "--users", "u0,u1")
    line = "where: items have no column 'genres'; there are: genre"
    assert line in said("recommend", "--users", "u0", "--where", "genres=y")
    assert line in said("recommend", "--history", "i0", "--where", "genres=y")
    text = "where genre<5: genre is text, such as 'y'; compare it by = or !="
    assert text in said("recommend", "--users", "u0", "--where", "genre<5")
    lists = ("recommend", "--all", "--out", tmp_path / "lists", "--where", "genres=y")
    assert line in said(*lists)
    assert not (tmp_path / "lists").exists()
