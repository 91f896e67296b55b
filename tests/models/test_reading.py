import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import reference.reading
from cllm4rec.downloads import cache_dir
from cllm4rec.models import reading
from cllm4rec.models.reading import Reader
from support.examples import examples
from support.strategies import any_texts
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama

TEXTS = [
    "a lovely toy for the whole family",
    "",
    "the best  film\nof the year",
    "toy",
    "a lovely toy for the whole family",
    "guitar strings, nickel, and a long, long description " * 9,
    " \t ",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("llama"), layers=3)


def reader_of(folder, **changes):
    return Reader(str(folder), **{"depth": 2, "dtype": "float32", **changes})


def forbid_reading(monkeypatch):
    monkeypatch.setattr(reading, "load_backbone", lambda *_: pytest.fail("read again"))


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("write", [write_tiny_llama, write_tiny_gpt2])
def test_vectors_are_those_of_the_library_read_one_by_one(tmp_path, write, pooling, echo):
    folder = write(tmp_path / "model", layers=3)
    found = reader_of(folder, pooling=pooling, max_words=12, echo=echo).vectors(TEXTS)
    wanted = reference.reading.read(TEXTS, folder, 2, pooling, 12, echo=echo)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_librarys_layers_read_as_our_own(folder, monkeypatch):
    own = reader_of(folder).vectors(TEXTS)
    monkeypatch.setattr("cllm4rec.models.backbone.accelerate", lambda *_: None)
    monkeypatch.setattr(reading, "kept", lambda *_: None)
    np.testing.assert_allclose(reader_of(folder).vectors(TEXTS), own, rtol=1e-4, atol=1e-5)


def test_half_precision_is_close(folder):
    whole, half = (reader_of(folder, dtype=d).vectors(TEXTS) for d in ("float32", "bfloat16"))
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(half, whole, rtol=0.05, atol=0.05)


@examples(8)
@given(st.lists(any_texts(), max_size=6), st.integers(0, 2**16))
def test_neither_order_nor_repetition_matters(folder, texts, seed):
    order = np.random.default_rng(seed).permutation(len(texts))
    alone = [reader_of(folder).vectors([text]) for text in texts]
    together = reader_of(folder).vectors([texts[number] for number in order] * 2)
    for place, number in enumerate([*order, *order]):
        wanted = alone[number][0] if alone[number].shape[1] else 0
        np.testing.assert_allclose(together[place], wanted, rtol=1e-4, atol=1e-5)


def test_without_any_word_there_are_no_dimensions(folder, monkeypatch):
    forbid_reading(monkeypatch)
    assert reader_of(folder).vectors(["", " "]).shape == (2, 0)
    assert reader_of(folder).vectors([]).shape == (0, 0)


def test_what_was_read_is_not_read_again(folder, monkeypatch):
    first = reader_of(folder).vectors(TEXTS)
    forbid_reading(monkeypatch)
    np.testing.assert_array_equal(reader_of(folder).vectors(TEXTS), first)
    np.testing.assert_array_equal(reader_of(folder).vectors(TEXTS[::-1]), first[::-1])


@pytest.mark.parametrize(
    "change",
    [
        {"depth": 1},
        {"pooling": "last"},
        {"max_words": 9},
        {"echo": False},
        {"weights": "random"},
        {"dtype": "auto"},
    ],
)
def test_another_setting_is_another_reading(folder, monkeypatch, change):
    monkeypatch.setattr("cllm4rec.models.reading.compute_dtype", lambda name: {"auto": 1}.get(name))
    keys = {
        reader._key(folder, TEXTS) for reader in (reader_of(folder), reader_of(folder, **change))
    }
    assert len(keys) == 2


def test_a_changed_title_or_backbone_is_read_anew(folder, tmp_path):
    before = reader_of(folder).vectors(TEXTS)
    changed = ["a lovely drum for the whole family", *TEXTS[1:]]
    after = reader_of(folder).vectors(changed)
    assert not np.allclose(after[0], before[0])
    np.testing.assert_allclose(after[1:], before[1:], rtol=1e-4, atol=1e-5)
    other = write_tiny_llama(tmp_path / "other", layers=3, seed=1)
    assert not np.allclose(reader_of(other).vectors(TEXTS)[0], before[0])


def test_random_weights_keep_the_words_and_follow_the_seed(folder):
    pretrained, random, other = (
        reader_of(folder, **settings).vectors(TEXTS)
        for settings in ({}, {"weights": "random"}, {"weights": "random", "seed": 1})
    )
    assert not np.allclose(random, pretrained)
    assert not np.allclose(random, other)


def test_a_killed_reading_goes_on_where_it_was(folder, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_TEXTS", 2)
    whole = reader_of(folder).vectors(TEXTS)
    for path in cache_dir().rglob("*.safetensors"):
        path.unlink()
    read = reading.LoadedReader.read
    calls: list[int] = []

    def killed(self, texts):
        calls.append(len(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(self, texts)

    monkeypatch.setattr(reading.LoadedReader, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        reader_of(folder).vectors(TEXTS)
    np.testing.assert_array_equal(reader_of(folder).vectors(TEXTS), whole)
    assert calls == [2, 2, 2]


@pytest.mark.parametrize("place", [-1, 20, 0])
def test_a_damaged_block_is_read_again(folder, place):
    first = reader_of(folder).vectors(TEXTS)
    [path] = cache_dir().rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(reader_of(folder).vectors(TEXTS), first)
    assert path.read_bytes() != content


@pytest.mark.parametrize(
    "other", [torch.tensor(1.0), torch.zeros(4, 32, dtype=torch.bfloat16), torch.zeros(4)]
)
def test_a_block_of_another_shape_or_dtype_is_read_again(folder, other):
    first = reader_of(folder).vectors(TEXTS)
    [path] = cache_dir().rglob("*.safetensors")
    save_file({"vectors": other}, path, metadata={"sha256": "0" * 64})
    np.testing.assert_array_equal(reader_of(folder).vectors(TEXTS), first)


def test_learned_positions_limit_what_is_read(tmp_path):
    folder = write_tiny_gpt2(tmp_path / "gpt2")
    text = "toy " * 3000
    for echo, longest in ((False, 1024), (True, 511)):
        found, wanted = (
            reader_of(folder, max_words=words, echo=echo).vectors([text])
            for words in (2000, longest)
        )
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_cache_says_nothing_of_the_texts(folder):
    reader_of(folder).vectors(["Hitchcock, a secret"])
    for path in cache_dir().rglob("*"):
        assert "hitchcock" not in path.name.lower()
        assert path.is_dir() or b"itchcock" not in path.read_bytes()


def test_a_cache_that_cannot_be_written_is_said_once_and_the_texts_are_read(
    folder, monkeypatch, capfd
):
    wanted = reader_of(folder).vectors(TEXTS)
    shutil.rmtree(cache_dir() / "readings")
    (cache_dir() / "readings").write_text("a file where the folder would be")
    monkeypatch.setattr(reading, "BLOCK_TEXTS", 1)
    np.testing.assert_allclose(reader_of(folder).vectors(TEXTS), wanted, rtol=1e-4, atol=1e-5)
    assert capfd.readouterr().err.count("readings cannot be written") == 1
