"""A finished cell is of the backbone that it had: by content, as names stay when files change."""

import json
import shutil
from dataclasses import replace

import pytest

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.experiments.cells import _found_once, begin, cells_of, finished
from cllm4rec.experiments.data import prepare_data
from cllm4rec.experiments.plan import load_plan
from cllm4rec.experiments.process import Outcome, compute
from cllm4rec.models import pretrained
from cllm4rec.run import read_json, sha256_file, write_json
from support.tiny_backbone import write_tiny_llama
from support.toy_bench import write_toy_plan

READ = ("ease-lm", "lm-knn", "ease-new-items", "sasrec-hybrid", "sasrec-hybrid-text")
PLAN = "\n".join(
    f"[baseline_settings.{name}]\n"
    + (f"reader = {{{settings}}}" if "hybrid" in name else settings.replace(", ", "\n"))
    for name in READ
    for settings in ['backbone = "{folder}", depth = 1']
)


@pytest.fixture
def bench(tmp_path, backbone):
    """Cells of a toy by model, its number of items, and the folder of their backbone."""
    folder = shutil.copytree(backbone, tmp_path / "lm")
    path = write_toy_plan(tmp_path, folder, "\n" + PLAN.replace("{folder}", str(folder)))
    names = json.dumps(["ease", *READ])
    path.write_text(path.read_text().replace('["popularity", "ease"]', names))
    plan = load_plan(path)
    data = prepare_data(plan, "planted", tmp_path / "out")
    cells = cells_of(plan, data, tmp_path / "out")
    of = {cell.model: cell for cell in cells if cell.seed == 0}
    return of, len(data.dataset.items), folder


@pytest.fixture
def notes(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    return lines


def finish(cell, num_items, **more):
    """Leave a record as `compute` does, without lists."""
    record = {"settings": cell.settings(num_items), "lists": {}, **more}
    write_json(cell.folder / "cell.json", record)


@pytest.mark.parametrize("model", ["tiny", "lm-knn"])
def test_another_model_in_the_same_folder_is_another_result_and_that_is_said(bench, model, notes):
    cells, num_items, folder = bench
    cell = cells[model]
    with progress.quiet():
        assert compute(cell) == Outcome("done")
    assert finished(cell, num_items, say=True) is not None
    notes.clear()
    write_tiny_llama(folder, seed=1)
    assert finished(cell, num_items, say=True) is None
    assert notes == [
        f"planted · {model} · seed 0: computed before from other files of the backbone {folder}; "
        f"computing it again"
    ]


def test_whatever_reads_or_trains_with_a_backbone_is_made_of_it_and_nothing_else_is(bench):
    cells, num_items, folder = bench
    before = {name: cell.made_of(num_items) for name, cell in cells.items()}
    for name, cell in cells.items():
        finish(cell, num_items, **before[name])
    write_tiny_llama(folder, seed=1)
    found = {name for name, cell in cells.items() if finished(cell, num_items) is not None}
    assert found == {"ease"}
    without = replace(cells["ease-lm"], given={"backbone": str(folder), "depth": 0})
    hybrid = replace(cells["sasrec-hybrid"], given={"reader": without.given})
    for cell in (cells["ease"], without, hybrid):
        assert cell.made_of(num_items).keys() == {"identity"}


def test_results_of_before_backbones_were_hashed_hold(bench):
    cells, num_items, _folder = bench
    for cell in cells.values():
        finish(cell, num_items, identity=cell.identity(num_items))
        assert finished(cell, num_items) is not None


def test_results_hold_where_their_backbone_is_not_any_more(bench):
    cells, num_items, folder = bench
    finish(cells["tiny"], num_items, **cells["tiny"].made_of(num_items))
    shutil.rmtree(folder)
    assert finished(cells["tiny"], num_items) is not None


def test_an_attempt_goes_on_with_the_same_backbone_only(bench):
    cells, num_items, folder = bench
    cell = cells["tiny"]
    before = cell.made_of(num_items)
    begin(cell, before)
    assert begin(cell, cell.made_of(num_items))
    (cell.folder / "half").touch()
    write_tiny_llama(folder, seed=1)
    assert not begin(cell, cell.made_of(num_items))
    assert not (cell.folder / "half").exists()
    write_json(cell.folder / "begun.json", {"identity": before["identity"]})
    assert begin(cell, cell.made_of(num_items)), "of before backbones were hashed"


def test_files_are_hashed_once_for_all_cells(bench, monkeypatch):
    cells, num_items, folder = bench
    hashed = []
    monkeypatch.setattr(pretrained, "sha256_file", lambda p: hashed.append(p) or sha256_file(p))
    for _ in range(2):
        for cell in cells.values():
            cell.made_of(num_items)
    assert sorted(path.name for path in hashed) == [
        *("config.json", "model.safetensors", "tokenizer.json")
    ]
    assert {path.parent for path in hashed} == {folder.resolve()}


def test_the_hub_is_asked_once_and_a_revision_that_moved_is_another_backbone(
    bench, tmp_path, monkeypatch
):
    cells, num_items, folder = bench
    asked = []
    monkeypatch.setattr(pretrained, "_from_hub", lambda name: asked.append(name) or folder)
    cell = replace(cells["lm-knn"], given={"backbone": f"org/{tmp_path.name}", "depth": 1})
    finish(cell, num_items, **cell.made_of(num_items))
    assert finished(cell, num_items) is not None
    assert len(asked) == 1
    folder = write_tiny_llama(tmp_path / "moved", seed=1)
    _found_once.cache_clear()  # as in another process
    assert finished(cell, num_items) is None


def test_what_cannot_be_had_asks_for_no_backbone(bench, monkeypatch):
    cells, _num_items, _folder = bench
    cell = replace(cells["lm-knn"], given={"backbone": "nobody/nothing", "depth": 1})
    monkeypatch.setattr(type(cell.baseline), "unavailable", lambda self, context: "no texts")
    assert compute(cell) == Outcome("left out", "no texts")
    assert not cell.folder.exists()


def test_a_folder_that_lacks_a_file_is_one_line(bench):
    cells, _num_items, folder = bench
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no .*tokenizer\.json; backbone\.name needs a folder"):
        compute(cells["tiny"])
    assert read_json(cells["tiny"].folder / "begun.json").keys() == {"identity", "backbone_sha256"}
