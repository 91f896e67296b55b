"""Similar items are by the encoder's vectors, whatever the encoder saves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cllm4rec.api import CLLM4Rec
from cllm4rec.errors import InputError
from cllm4rec.models.items import FreeItems
from cllm4rec.recommender.placing import Placing
from cllm4rec.recommender.saved import Recommender, save_model
from cllm4rec.recommender.similar import SimilarItems, SimilarTexts
from cllm4rec.run import read_json
from cllm4rec.stages.similar import similar


class Turned(FreeItems):
    """An encoder whose vectors are no parameter: the table read backwards."""

    def vectors(self, numbers):
        return super().vectors(numbers).flip(-1)

    def all(self):
        return self.weight.flip(-1) * torch.arange(1.0, self.weight.shape[1] + 1)


def test_they_are_nearest_by_cosine(trained):
    table = Recommender.load(trained.run.path).scorer.model.embedding.items.all().detach().numpy()
    units = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = units @ units[7]
    cosines[7] = -2
    items, scores = SimilarItems.of_model(trained.run.path).to(7, 5)
    assert items == np.argsort(-cosines)[:5].tolist()
    np.testing.assert_allclose(scores, np.sort(cosines)[:-6:-1], atol=1e-6)


def test_the_vectors_of_any_encoder_are_found_in_a_saved_model(trained, tmp_path):
    recommender = Recommender.load(trained.run.path)
    model = recommender.scorer.model
    for items in (model.embedding.items, Turned(torch.randn(120, model.embedding.size))):
        model.embedding.items = items
        save_model(tmp_path / "model", replace(recommender.scorer), recommender.dataset, "hash")
        found = SimilarItems.of_model(tmp_path).embeddings
        np.testing.assert_array_equal(found, items.all().detach().numpy())
    record = read_json(tmp_path / "model" / "model.json")
    assert record["item_vectors"] == {"file": "items.safetensors", "tensor": "vectors"}


def test_by_content_by_collaboration_and_by_both(trained):
    """Each against its definition; in Python, and as the command has it."""
    recommender = Recommender.load(trained.run.path)
    texts = Placing.read(trained.run.path).texts.items
    had = recommender.dataset.part("train").matrix().toarray()
    norms = np.maximum(np.linalg.norm(had, axis=0), 1)
    content = texts @ texts[7]
    together = had.T @ had[:, 7] / (norms * norms[7])
    model, ids = CLLM4Rec.load(trained.run.path), recommender.dataset.items
    for by, cosines in (
        ("content", content),
        ("collaboration", together),
        ("both", (content + together) / 2),
    ):
        found = model.similar(ids.id(7), 5, by=by)
        cosines[7] = -2
        best = np.sort(cosines)[:-6:-1]
        np.testing.assert_allclose([cosine for _, cosine in found], best[best > 0], atol=1e-5)
        np.testing.assert_allclose(
            [cosines[ids.number(item)] for item, _ in found], best[best > 0], atol=1e-5
        )
        listed = similar(trained.run, [ids.id(7)], k=5, by=by)["similar"][ids.id(7)]
        assert [(row["item_id"], row["score"]) for row in listed] == found
    assert model.similar(ids.id(7)) == model.similar(ids.id(7), by="model")


def test_items_without_anything_in_common_are_not_listed(trained):
    recommender = Recommender.load(trained.run.path)
    had = recommender.dataset.part("train").matrix().toarray()
    together = ((had.T @ had) > 0).sum(axis=1) - 1
    loneliest = int(together.argmin())
    found, _ = recommender.similar_by("collaboration").to(loneliest, len(together))
    assert len(found) == together[loneliest] < len(together) - 1


def test_an_item_without_anything_to_compare_by_is_refused(trained, monkeypatch):
    recommender = Recommender.load(trained.run.path)
    ids = recommender.dataset.items
    texts = SimilarTexts.of(trained.run.path)
    bare = texts.embeddings.copy()
    bare[7] = 0
    monkeypatch.setattr(SimilarTexts, "of", lambda *_: SimilarTexts(bare))
    with pytest.raises(InputError, match="the item has no text with a word that says"):
        recommender.similar_by("content").to(7, 5)
    assert recommender.similar_by("both").to(7, 5)[0]  # somebody had it
    with pytest.raises(InputError, match="has no text"):
        similar(trained.run, [ids.id(7)], by="content")
    found = similar(trained.run, [ids.id(7), "nowhere", ids.id(8)], by="content")["similar"]
    assert [len(found[ids.id(n)]) > 0 for n in (7, 8)] == [False, True]
    assert len(found) == 2


def test_what_is_no_comparison_is_refused(trained, tmp_path):
    recommender = Recommender.load(trained.run.path)
    with pytest.raises(InputError, match="by is 'colour'; give model, content, collaboration or"):
        recommender.similar_by("colour")
    elsewhere = replace(recommender.dataset, folder=tmp_path / "data")
    without = Recommender(recommender.scorer, elsewhere, recommender.lm)
    with pytest.raises(InputError, match="keeps no texts to compare items by"):
        without.similar_by("both")
