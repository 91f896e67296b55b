"""A reading that is trained on which items stand in one history."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from cllm4rec.baselines import trained_reading
from cllm4rec.baselines.trained_reading import POWER, TrainedReader
from cllm4rec.data.interactions import Interactions
from cllm4rec.downloads import cache_dir
from cllm4rec.errors import ConfigError
from cllm4rec.linear.cooccurrence import cooccurrence
from cllm4rec.linear.text_vectors import whitened
from cllm4rec.models.reading import LoadedReader, Reader
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama

ITEMS = 104
"""Of two kinds, which one of their words tells; no one has the last four, one has no text."""
COLOURS = ["red", "blue"]
OTHERS = ["toy", "family", "film", "best", "year", "lovely", "whole", "the"]
DRAW = np.random.default_rng(1)
TEXTS = [f"{' '.join(DRAW.choice(OTHERS, 4))} {COLOURS[item % 2]}" for item in range(ITEMS)]
TEXTS[7] = " "


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("llama"), layers=3)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(user % 2, 100, 2), 6, replace=False) for user in range(200)]
    return cooccurrence(Interactions.from_lists([row.tolist() for row in rows], ITEMS))


def trained(folder, layers=0, epochs=4, seed=0, **changes):
    reader = Reader(str(folder), **{"depth": 3, "dtype": "float32", **changes})
    return TrainedReader(reader, layers, epochs, seed)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("write", [write_tiny_llama, write_tiny_gpt2])
def test_untrained_layers_over_kept_states_read_as_the_reader_does(tmp_path, write, layers):
    reader = Reader(str(write(tmp_path / "model", layers=3)), 3, echo=False, dtype="float32")
    loaded = LoadedReader.of(reader, tmp_path / "model", "full")
    read = trained_reading._Layers(loaded, TEXTS, layers)
    wanted = reader.vectors(TEXTS)
    given = np.flatnonzero(np.any(wanted, axis=1))
    np.testing.assert_array_equal(np.flatnonzero(read.words), given)
    np.testing.assert_allclose(read.all(given), wanted[given], rtol=1e-4, atol=1e-5)
    order = given[::-1].copy()
    np.testing.assert_allclose(read(order).detach(), wanted[order], rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_last_layers_alone(folder):
    loaded = LoadedReader.of(Reader(str(folder), 3, dtype="float32"), folder, "full")
    read = trained_reading._Layers(loaded, TEXTS, 1)
    read(np.array([0, 3])).sum().backward()
    *below, last, final = loaded.backbone.layers.blocks()
    assert all(p.grad is not None for part in (last, final) for p in part.parameters())
    assert not any(p.requires_grad for part in below for p in part.parameters())


@pytest.mark.parametrize("layers", [0, 2])
def test_new_items_come_near_those_that_are_liked_as_their_kind_is(folder, pairs, layers):
    vectors = trained(folder, layers, epochs=30).vectors(TEXTS, pairs)
    assert vectors.dtype == np.float32
    assert not vectors[7].any()
    np.testing.assert_allclose(np.delete(np.linalg.norm(vectors, axis=1), 7), 1, rtol=1e-5)
    before = whitened(Reader(str(folder), 3, dtype="float32").vectors(TEXTS), POWER)
    gains = [
        np.mean([
            (each[:100] @ each[item])[item % 2 :: 2].mean()
            - (each[:100] @ each[item])[1 - item % 2 :: 2].mean()
            for item in range(100, ITEMS)
        ])
        for each in (before, vectors)
    ]
    assert gains[1] > gains[0] + (0.3 if layers else 0.1)


def test_the_same_again_is_the_same_and_comes_from_the_cache(folder, pairs, monkeypatch):
    first = trained(folder, 1).vectors(TEXTS, pairs)
    for path in cache_dir().rglob("trained.safetensors"):
        path.unlink()
    np.testing.assert_array_equal(trained(folder, 1).vectors(TEXTS, pairs), first)
    monkeypatch.setattr(trained_reading, "_fit", lambda *_: pytest.fail("trained again"))
    np.testing.assert_array_equal(trained(folder, 1).vectors(TEXTS, pairs), first)


def test_another_input_or_setting_is_another_training(folder, pairs):
    other = pairs.copy()
    other.data[0] *= 2
    base = trained(folder)
    keys = {
        base._key(folder, TEXTS, pairs),
        base._key(folder, TEXTS, other),
        base._key(folder, [*TEXTS[:-1], "a toy"], pairs),
        base._key(folder, TEXTS[::-1], pairs),
        *(
            replace(base, **change)._key(folder, TEXTS, pairs)
            for change in ({"layers": 1}, {"epochs": 5}, {"seed": 1})
        ),
        trained(folder, weights="random")._key(folder, TEXTS, pairs),
    }
    assert len(keys) == 8


def test_an_item_alone_is_read_as_among_others(folder):
    loaded = LoadedReader.of(Reader(str(folder), 3, dtype="float32"), folder, "full")
    read = trained_reading._Layers(loaded, TEXTS, 2)
    items = np.array([5, 0, 11])
    alone = torch.cat([read.all(items[at : at + 1]) for at in range(3)])
    torch.testing.assert_close(read.all(items), alone, rtol=1e-4, atol=1e-5)


def test_without_pairs_or_words_there_are_no_dimensions(folder, pairs):
    assert trained(folder).vectors(TEXTS, csr_matrix((ITEMS, ITEMS))).shape == (ITEMS, 0)
    assert trained(folder).vectors([""] * ITEMS, pairs).shape == (ITEMS, 0)


def test_other_families_train_the_map_alone(folder, pairs, monkeypatch):
    monkeypatch.setattr("cllm4rec.models.backbone.accelerate", lambda *_: None)
    with pytest.raises(ConfigError, match="set train_layers = 0"):
        trained(folder, 1).vectors(TEXTS, pairs)
    assert trained(folder, 0).vectors(TEXTS, pairs).shape == (ITEMS, 32)
