"""Words are read when a query asks for them, once, and kept beside the model."""

import resource
import shutil

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.models.reading import LoadedReader
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.word_readings import FOLDER
from cllm4rec.run import RunDir, clear_leftovers
from cllm4rec.stages.save import save_folder
from support.trained import small_run


@pytest.fixture
def run(tmp_path_factory, tmp_path, backbone, monkeypatch) -> RunDir:
    """A run whose words nobody has read, and an empty cache."""
    shutil.copytree(small_run(tmp_path_factory, backbone).path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / FOLDER, ignore_errors=True)
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))
    return RunDir(tmp_path / "run")


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Texts of each reading by the language model."""
    found: list[int] = []
    own = LoadedReader.read

    def counted(self, texts):
        found.append(len(texts))
        return own(self, texts)

    monkeypatch.setattr(LoadedReader, "read", counted)
    return found


def files(run) -> list[str]:
    return sorted(path.name for path in run.file(FOLDER).glob("*"))


def scores(run) -> np.ndarray:
    queries = Queries.read(run.path)
    return queries.scores(queries.index.terms[0])


def test_training_reads_no_word(tmp_path_factory, backbone):
    assert not small_run(tmp_path_factory, backbone).file(FOLDER).exists()


def test_the_first_query_reads_the_words_and_later_ones_what_is_kept(run, read, capfd):
    with progress.quiet():
        first = scores(run)
    index = Queries.read(run.path).index
    assert sum(read) == sum(not index.is_alone(term) for term in index.terms)
    [kept] = files(run)
    read.clear()
    shutil.rmtree(run.path.parent / "cache")
    np.testing.assert_array_equal(scores(run), first)
    assert read == []
    assert files(run) == [kept]


def test_a_model_is_asked_without_a_query_and_reads_nothing(run, read):
    model = CLLM4Rec.load(run.path)
    model.recommend(model.recommender_.dataset.users.ids([1]))
    assert read == []


@pytest.mark.parametrize("damage", ["truncated", "changed", "of other words"])
def test_a_damaged_file_is_read_anew(run, read, damage):
    with progress.quiet():
        first = scores(run)
        [path] = run.file(FOLDER).iterdir()
        whole = path.read_bytes()
        if damage == "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        elif damage == "changed":
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        else:
            path.rename(path.with_name("0123456789abcdef.safetensors"))
        np.testing.assert_array_equal(scores(run), first)
    assert files(run) == [path.name]
    assert path.read_bytes() == whole


def test_another_backbone_of_the_same_name_is_another_file(run, read):
    with progress.quiet():
        scores(run)
        before = files(run)
        from dataclasses import replace

        other = replace(Queries.read(run.path), backbone_sha256="another")
        other.prepare()
    assert files(run) != before
    assert len(files(run)) == 1  # of the earlier one nothing is left


def test_a_folder_that_cannot_be_written_answers_and_says_so(run, monkeypatch, capfd):
    run.file(FOLDER).write_text("a file where the folder would be")
    assert scores(run).any()
    said = capfd.readouterr().err
    assert f"{run.file(FOLDER)} cannot be written; the words will be read again" in said


def test_a_disk_that_is_full_is_no_reason_not_to_answer(run, capfd):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))  # a longer file cannot be written
    try:
        assert scores(run).any()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the words will be read again" in capfd.readouterr().err
    assert files(run) == []


def test_a_killed_writer_leaves_nothing_that_is_used(run):
    run.file(FOLDER).mkdir()
    left = run.file(FOLDER, ".0123.safetensors.tmp-999999999")
    left.write_bytes(b"half")
    with progress.quiet():
        scores(run)
    assert not left.exists()
    clear_leftovers(run.file(FOLDER))
    assert len(files(run)) == 1


def test_a_saved_folder_has_the_words_that_were_read(run, read, tmp_path):
    with progress.quiet():
        first = scores(run)
        model = CLLM4Rec.load(run.path)
        save_folder(run, tmp_path / "saved", model.recommender_)
        read.clear()
        np.testing.assert_array_equal(scores(RunDir(tmp_path / "saved")), first)
        CLLM4Rec.load(tmp_path / "saved")  # its seal does not speak of them
    assert read == []
