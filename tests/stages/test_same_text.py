"""Which texts of added items are one with a text that the run has."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.texts import Texts
from cllm4rec.errors import InputError
from cllm4rec.recommender.placing import Placing
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items, remove_items
from support.trained import served_run


@pytest.fixture
def run(tmp_path_factory, backbone) -> RunDir:
    return served_run(tmp_path_factory, backbone)


@pytest.mark.parametrize(
    ("there", "added"),
    [("दिन", "दान"), ("", "???"), ("…", "?!")],
    ids=["vowel signs", "no text", "punctuation"],
)
def test_other_words_or_none_are_no_text_in_common(run, tmp_path, monkeypatch, there, added):
    items = len(Dataset.open(run.path / "data").items)
    monkeypatch.setattr(Texts, "described", lambda *_: [there] * items)
    source = tmp_path / "new.parquet"
    pq.write_table(pa.Table.from_pylist([{"item_id": "new", "title": added}]), source)
    with progress.quiet(), pytest.raises(InputError, match="no word that two items"):
        add_items(run, source, measure=False)


@pytest.mark.parametrize(
    ("row", "same"),
    [({}, 1), ({"genre": "Pop"}, 1), ({"genre": "Jazz"}, 0)],
    ids=["without features", "the same", "another"],
)
def test_a_title_of_one_item_alone_is_found_without_its_features(
    run, tmp_path, monkeypatch, row, same
):
    """Only one item has the words, so they are no terms of the run."""
    items = len(Dataset.open(run.path / "data").items)
    whole = Placing.read.__func__

    def with_feature(cls, folder):
        found = whole(cls, folder)
        return replace(found, texts=replace(found.texts, features=("genre",)))

    monkeypatch.setattr(Placing, "read", classmethod(with_feature))
    nothing = [None] * (items - 1)
    monkeypatch.setattr(Texts, "item_titles", property(lambda _: ["Qwxyz", *nothing]))
    monkeypatch.setattr(Texts, "item_texts", property(lambda _: [None, *nothing]))
    features = {"genre": ["Pop", *nothing]}
    monkeypatch.setattr(Texts, "item_features", property(lambda _: features))
    source = tmp_path / "new.parquet"
    pq.write_table(pa.Table.from_pylist([{"item_id": "new", "title": "QWXYZ!", **row}]), source)
    with progress.quiet():
        added = add_items(run, source, measure=False, skip=True)
        remove_items(run, None)
    assert (added["added"], added["same_text"]) == (same, same)
