"""Similar items are by the encoder's vectors, whatever the encoder saves."""

from dataclasses import replace

import numpy as np
import torch

from cllm4rec.models.items import FreeItems
from cllm4rec.recommender.saved import Recommender, save_model
from cllm4rec.recommender.similar import SimilarItems
from cllm4rec.run import read_json


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
