"""A folder that was replaced is told from the one that was opened, whatever number it has."""

import os
import shutil

import pytest

from cllm4rec.errors import IntegrityError
from cllm4rec.run import Opened, atomic_folder


def fill(folder, text: str) -> None:
    with atomic_folder(folder) as new:
        (new / "marker").write_text(text)


def test_what_is_read_of_the_opened_folder_is_given(tmp_path):
    fill(tmp_path / "data", "a")
    opened = Opened.of(tmp_path / "data", "marker")
    (tmp_path / "data" / "other").write_text("a file beside it is no other folder")
    with opened.reading() as folder:
        assert (folder / "marker").read_text() == "a"


def test_another_folder_is_refused_even_if_reading_fails_before(tmp_path):
    fill(tmp_path / "data", "a")
    opened = Opened.of(tmp_path / "data", "marker")
    fill(tmp_path / "data", "bb")
    with pytest.raises(IntegrityError, match="data was replaced or removed"), opened.reading():
        pass
    refused = pytest.raises(IntegrityError, match="data was replaced or removed")
    with refused, opened.reading() as folder:
        (folder / "gone").read_text()
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(IntegrityError, match="data was replaced or removed"), opened.reading():
        pass


def test_a_later_folder_with_the_number_of_the_first_is_another(tmp_path):
    """File systems give a number again: replaced twice, a folder may have that of the first."""
    fill(tmp_path / "data", "a")
    opened = Opened.of(tmp_path / "data", "marker")
    (tmp_path / "data" / "marker").write_text("b")
    os.utime(tmp_path / "data" / "marker", ns=(1, 1))
    with pytest.raises(IntegrityError), opened.reading():
        pass


def test_another_error_stays_what_it_is(tmp_path):
    fill(tmp_path / "data", "a")
    opened = Opened.of(tmp_path / "data", "marker")
    with pytest.raises(FileNotFoundError), opened.reading() as folder:
        (folder / "gone").read_text()
