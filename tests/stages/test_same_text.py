"""Which texts of added items are one with a text that the run has."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.texts import Texts
from cllm4rec.errors import InputError
from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items
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
