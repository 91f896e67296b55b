"""Added items and another training: what it does not take along, and what is said of it."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.recommender.added import AddedItems
from cllm4rec.recommender.intact import seal_model
from cllm4rec.run import RunDir, read_json, write_json
from cllm4rec.stages.add_items import add_items, remove_items
from cllm4rec.stages.refit import _prepare
from support.trained import served_run

ROWS = [
    {"item_id": "n2", "title": "The Autumn of the Robot", "text": "A tale of a rocket."},
    {"item_id": "a1", "title": "A Mystery", "text": "Of a detective and a suspect."},
    {"item_id": "zz", "title": "The Summer of the Galaxy", "text": "A tale of an orbit."},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone):
    return served_run(tmp_path_factory, backbone).path


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    shutil.copytree(trained, tmp_path / "run")
    return RunDir(tmp_path / "run")


def add(run, rows):
    source = run.path.parent / "new.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    with progress.quiet():
        add_items(run, source, measure=False)


def test_what_was_added_to_an_earlier_training_is_left_out_with_a_note(run, capsys):
    add(run, ROWS)
    record = read_json(run.file("model", "model.json"))
    write_json(run.file("model", "model.json"), {**record, "blend": 0.125})
    run.file("model", "sha256.json").unlink()
    seal_model(run.file("model"))
    assert AddedItems.of(run.path) is None
    assert (
        "belong to an earlier training; `cllm4rec add-items` adds them again"
        in capsys.readouterr().err
    )
    assert remove_items(run, None)["items"] == 60


@pytest.mark.parametrize("number", [1, 3])
def test_a_training_on_the_same_data_says_how_many_it_does_not_take_along(run, number, capsys):
    other = run.path.with_name("other")
    AddedItems.note_left(run.path, other)
    assert capsys.readouterr().err == ""
    add(run, ROWS[:number])
    AddedItems.note_left(run.path, other)
    said = capsys.readouterr().err
    assert said.startswith("1 item that was added" if number == 1 else "3 items that were added")
    assert said.endswith(f"not in {other}; `cllm4rec add-items` adds them again\n")
    _prepare(run, RunDir(other), keep_test=False, named="--to")
    assert said in capsys.readouterr().err
