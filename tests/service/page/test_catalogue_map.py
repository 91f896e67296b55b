"""The kept map: laid out once, read back, thrown away with the model it was of."""

import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from cllm4rec.recommender.similar import SimilarItems
from cllm4rec.service.page import catalogue_map as module
from cllm4rec.service.page.catalogue_map import CatalogueMap, draw, map_key
from cllm4rec.service.served import Served


@pytest.fixture(scope="module")
def served(page_run, tmp_path_factory) -> Served:
    run = tmp_path_factory.mktemp("map") / "run"
    shutil.copytree(page_run.path, run)
    return Served.load(run, subprocess=False)


@pytest.fixture
def layouts(monkeypatch) -> list[int]:
    """Counts how often a map is laid out."""
    done: list[int] = []
    original = module.layout

    def counting(items, weights, seed):
        done.append(len(items))
        return original(items, weights, seed)

    monkeypatch.setattr(module, "layout", counting)
    return done


def test_a_map_is_laid_out_once_and_then_read(served, layouts, tmp_path):
    first = draw(served, tmp_path)
    again = draw(served, tmp_path)
    assert len(layouts) == 1
    assert again.content == first.content
    assert [path.name for path in tmp_path.iterdir()] == [f"map-{first.key}.npy"]


def test_a_changed_model_is_laid_out_anew_and_the_old_map_goes(served, layouts, tmp_path):
    draw(served, tmp_path)
    table = served.similar.embeddings.copy()
    table[3] += 1
    changed = draw(replace(served, similar=SimilarItems(table)), tmp_path)
    assert len(layouts) == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"map-{changed.key}.npy"]


@pytest.mark.parametrize("content", [b"", b"no numpy", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_laid_out_anew(served, layouts, tmp_path, content):
    first = draw(served, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(content)
    assert draw(served, tmp_path).content == first.content
    assert len(layouts) == 2


def test_a_file_of_another_shape_or_with_holes_is_laid_out_anew(served, layouts, tmp_path):
    draw(served, tmp_path)
    (kept,) = tmp_path.iterdir()
    for wrong in (np.zeros((3, 2), "f4"), np.full((40, 2), np.nan, "f4"), np.zeros((40, 2))):
        np.save(kept, wrong)
        draw(served, tmp_path)
    assert len(layouts) == 4


def test_a_folder_that_cannot_be_written_does_not_matter(served, tmp_path, capsys):
    (tmp_path / "file").touch()
    answer = draw(served, tmp_path / "file" / "page")
    assert answer.state == "ready"
    assert "is not kept" in capsys.readouterr().err


def test_a_map_that_cannot_be_drawn_is_said_to_have_failed(served, monkeypatch, tmp_path, capsys):
    def broken(*_arguments):
        raise MemoryError

    monkeypatch.setattr(module, "draw", broken)
    drawing = CatalogueMap(tmp_path)
    drawing.answer(served)
    _wait(drawing, served)
    answer = drawing.answer(served)
    assert answer.state == "failed"
    assert module.FAILED.encode() in answer.content
    assert "MemoryError" in capsys.readouterr().err


def test_only_the_best_known_items_of_a_large_catalogue_are_sent(served, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MOST_DRAWN", 7)
    found = json.loads(draw(served, tmp_path).content)
    counts = served.catalogue.counts
    assert found["items"] == len(counts)
    sent = served.catalogue.items.numbers(found["ids"])
    assert sorted(counts[sent].tolist(), reverse=True) == counts[sent].tolist()
    assert counts[sent].min() >= np.sort(counts)[-7]


def test_the_key_is_the_embeddings_own():
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert map_key(table) == map_key(table.copy())
    assert map_key(table) == map_key(np.asfortranarray(table))
    assert map_key(table) != map_key(table.reshape(3, 4))
    assert map_key(table) != map_key(table + 1)


def _wait(drawing: CatalogueMap, served: Served) -> None:
    for thread in threading.enumerate():
        if thread.name == "catalogue map":
            thread.join(timeout=60)
    assert drawing.answer(served).state != "drawing"
