"""Many added items: what is said meanwhile, and what is not read in vain."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.models.reading import Reader
from cllm4rec.recommender import placing
from cllm4rec.recommender.placing import Placing, ReadTexts
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items
from support.trained import served_run

ROWS = [
    {"item_id": "n1", "title": "The Autumn of the Robot"},
    {"item_id": "n2", "title": "история робота"},
    {"item_id": "item_000001", "title": "A Mystery"},
    {"item_id": "n3", "title": "The Summer of the Galaxy"},
]


@pytest.fixture
def run(tmp_path_factory, backbone, tmp_path) -> RunDir:
    shutil.copytree(served_run(tmp_path_factory, backbone).path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.fixture
def source(tmp_path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "new.parquet")
    return tmp_path / "new.parquet"


@pytest.fixture
def texts_read(run, monkeypatch) -> list[str]:
    """What the language model reads of new items."""
    texts: list[str] = []
    size = len(Placing.read(run.path).texts.space.placed)
    read = ReadTexts({}, None, (np.ones((size, 2), np.float32),))

    def vectors(self, words):
        texts.extend(words)
        return (np.ones((len(words), 2), np.float32),)

    whole = Placing.read.__func__

    def with_reading(cls, folder):
        found = whole(cls, folder)
        items = placing.ItemTexts(found.texts.space, read, found.texts.features)
        return Placing(items, found.rule)

    monkeypatch.setattr(ReadTexts, "vectors", vectors)
    monkeypatch.setattr(Placing, "read", classmethod(with_reading))
    return texts


def test_what_cannot_be_added_is_not_read(run, source, texts_read):
    with progress.quiet():
        assert add_items(run, source, skip=True, measure=False)["added"] == 2
    assert texts_read == [ROWS[0]["title"], ROWS[3]["title"]]


def test_a_file_is_refused_before_anything_is_read(run, source, texts_read):
    with progress.quiet(), pytest.raises(InputError, match=r"trained with: .*two items .*: 'n2'"):
        add_items(run, source, measure=False)
    assert texts_read == []


def test_rows_that_are_left_out_are_counted_at_once_without_their_ids(run, source, capsys):
    add_items(run, source, skip=True, measure=False)
    err = capsys.readouterr().err
    assert "2 of 4 rows are left out: an item_id that the run was trained with: 1; no word" in err
    assert "n2" not in err


def test_every_long_phase_shows_how_far_it_is(run, source, monkeypatch, capsys):
    for name in ("SHOW_AFTER_S", "LINE_EVERY_S"):
        monkeypatch.setattr(progress, name, 0.0)
    monkeypatch.setattr(placing, "NEIGHBOURS_BLOCK", 1)
    add_items(run, source, skip=True, measure=False)
    err = capsys.readouterr().err
    assert "Finding items of like texts 1/2 items," in err
    assert "Checking the new items 1/3 steps," in err
    assert "left" in err


def test_reading_shows_how_far_it_is(backbone, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    monkeypatch.setattr("cllm4rec.models.reading.BATCH_TOKENS", 8)
    reader = Reader(str(backbone), 1, dtype="float32")
    alone = [reader.unkept([text])[0] for text in ("a robot", "the galaxy")]
    read = reader.unkept(["a robot", "", "the galaxy"])
    assert "Reading item texts 1/2 texts, 0 s left" in capsys.readouterr().err
    np.testing.assert_allclose(read[[0, 2]], alone, atol=1e-5)
    assert not read[1].any()
