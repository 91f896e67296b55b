"""What training starts from, against the factors that were chosen."""

import numpy as np
import torch

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.models.heads import ItemHead
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.start import initial
from cllm4rec.start.search import FactorStart, search
from support.toy_run import toy_config


def test_the_heads_first_scores_are_the_factors(backbone, tmp_path, monkeypatch):
    write_planted_world(tmp_path, users=60, items=40, genres=4)
    config = toy_config(backbone)
    found: list[FactorStart] = []

    def noted(*given) -> FactorStart:
        found.append(search(*given))
        return found[-1]

    monkeypatch.setattr(initial, "search", noted)
    monkeypatch.setattr("cllm4rec.start.search.POPULARITY_WEIGHTS", (0.1,))
    with progress.quiet():
        dataset = Dataset.load(tmp_path, split=tmp_path / "split.parquet")
        users = len(dataset.users)
        start = initial.initial_values(dataset, config, LanguageModel.load(config), users)
    [factors] = found
    size = start.collaborative.shape[1]
    head = ItemHead(len(dataset.items), size, projection=True, skip=True)
    with torch.no_grad():
        head.bias.copy_(start.bias)
        head.log_scale.fill_(start.log_scale)
        query = head(torch.randn(users, size), start.collaborative_users)
        scores = query @ start.collaborative.T + head.bias
    wanted = factors.score(np.arange(users, dtype=np.int32), dataset.part("train"))
    assert factors.inverse_temperature != 1
    assert np.std(factors.bias) > 0
    np.testing.assert_allclose(
        scores.numpy(), factors.inverse_temperature * wanted, rtol=1e-3, atol=1e-4
    )
