"""Items whose vectors are made of what is read in their texts."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.baselines import Context
from cllm4rec.linear.text_vectors import beside, whitened
from cllm4rec.models.items import FreeItems, ReadItems
from cllm4rec.models.reading import Reader
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages import epochs
from cllm4rec.stages.finetune import finetuning_objectives
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.setup import Setup
from cllm4rec.stages.train import train
from support.toy_run import toy_config


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def prepared(trained, tmp_path):
    run = RunDir(tmp_path / "run").create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    return run


def settings(backbone, kind: str):
    return toy_config(
        backbone,
        "pretrain.enabled=false",
        "finetune.epochs=2",
        "finetune.learning_rate=0.01",
        f"model.item_texts={kind}",
        "model.reading_depth=1",
        "model.linear=false",
    )


@pytest.mark.parametrize("kind", ["words", "read"])
def test_what_is_trained_is_kept_as_a_table(prepared, backbone, monkeypatch, kind):
    config, kept, moved = settings(backbone, kind), [], []
    as_table, fit = ReadItems.as_table, epochs.fit

    def measured(plan, objectives, *given, **named) -> None:
        fit(plan, objectives, *given, **named)
        mapping = objectives["finetune"].parameters()["embedding.items.map"]
        moved.append(mapping.detach().abs().max().item())

    def noting(items: ReadItems) -> FreeItems:
        kept.append((items.weight.detach() + items.texts @ items.map.detach(), items))
        return as_table(items)

    monkeypatch.setattr(ReadItems, "as_table", noting)
    monkeypatch.setattr(epochs, "fit", measured)
    with progress.quiet():
        train(prepared, config)
    [(wanted, items)] = kept
    saved = load_file(prepared.file("model", "model.safetensors"))
    assert torch.equal(saved["embedding.items.weight"], wanted)
    assert "embedding.items.map" not in saved
    recommender = Recommender.load(prepared.path)
    assert torch.equal(recommender.scorer.model.embedding.items.all(), wanted)
    context = Context.of(recommender.dataset)
    texts = Initial.read(prepared).texts.items
    if kind == "read":
        read = Reader(str(backbone), 1).vectors(context.words)
        texts = beside(texts, whitened(read, 0.5), 1.0)
    np.testing.assert_array_equal(items.texts.numpy(), texts)
    assert moved[0] > 0.001, "the map was trained, even where epoch 0 was best"


@pytest.mark.parametrize(("kind", "weight"), [("none", 0.0), ("words", 0.0), ("words", 1.0)])
def test_training_begins_at_the_same_vectors(prepared, backbone, kind, weight, monkeypatch):
    monkeypatch.setattr(epochs, "fit", lambda *given, **named: None)
    config = settings(backbone, kind).changed(finetune={"text_prior_weight": weight})
    with progress.quiet():
        train(prepared, config)
        model, objectives = finetuning_objectives(
            Setup.of(prepared, config), Initial.read(prepared)
        )
    assert isinstance(model.embedding.items, ReadItems) == (kind == "words")
    assert objectives["finetune"].weights.get("text_prior", 0.0) == weight
    start = Initial.read(prepared).tensors["collaborative"]
    torch.testing.assert_close(model.embedding.items.all(), start, rtol=0, atol=1e-6 * weight)
    if kind == "words":
        assert bool(model.embedding.items.map.any()) == (weight > 0)


@pytest.mark.parametrize(
    ("helps", "most", "is_made"),
    [(None, 25_000, True), (True, 25_000, True), (False, 25_000, False), (True, 20, False)],
)
def test_auto_makes_items_of_texts_that_help(prepared, backbone, monkeypatch, helps, most, is_made):
    """Where the linear model uses texts, or there is none; for so many items and no more."""
    monkeypatch.setattr(epochs, "fit", lambda *given, **named: None)
    monkeypatch.setattr("cllm4rec.stages.initialise.MAX_ITEMS", most)
    config = settings(backbone, "auto")
    with progress.quiet():
        train(prepared, config)
    linear = None if helps is None else SimpleNamespace(uses_texts=helps)
    initial = replace(Initial.read(prepared), linear=linear)
    setup = Setup.of(prepared, config)
    model, _ = finetuning_objectives(setup, initial)
    assert isinstance(model.embedding.items, ReadItems) == is_made
    if is_made:
        read = finetuning_objectives(Setup.of(prepared, settings(backbone, "read")), initial)[0]
        assert torch.equal(model.embedding.items.texts, read.embedding.items.texts)
