"""Added items that are likely meant otherwise are added, and said without their ids."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.run import RunDir
from cllm4rec.stages.add_items import add_items
from support.trained import served_run


@pytest.fixture
def run(tmp_path_factory, backbone) -> RunDir:
    return served_run(tmp_path_factory, backbone)


@pytest.fixture
def add(run, tmp_path, monkeypatch):
    """Adds items of these ids and years; returns the notes."""

    def added(**years):
        said: list[str] = []
        monkeypatch.setattr("cllm4rec.progress.note", said.append)
        rows = [
            {"item_id": item_id, "title": f"The Robot of the Galaxy {at}", "year": year}
            for at, (item_id, year) in enumerate(years.items())
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "new.parquet")
        assert add_items(run, tmp_path / "new.parquet", measure=False)["added"] == len(rows)
        return said

    return added


def test_an_id_in_another_spelling_is_said_beside_trained_and_added_items(add):
    assert add(new="1999") == []
    assert add(**{"item_000001.0": "1999", "NEW.00": "1998", "other": None}) == [
        "2 of 3 added items have another item's id but for blanks, capitals, leading zeros or .0 "
        "at the end, and count as new ones; if they are not, remove them and write ids alike (in "
        "pandas, read them as text with dtype=str)"
    ]


def test_decimal_commas_among_numbers_are_said(add):
    assert add(one="1999,5", two="1998") == [
        "column 'year' has decimal commas in 1 of 2 added items, and numbers in the others of the "
        "run: write a decimal point, or no range finds them"
    ]
