"""The validation users who decide searches and epochs."""

import numpy as np
import pytest

from cllm4rec.evaluation import protocol
from cllm4rec.evaluation.protocol import (
    evaluate_scorer,
    evaluated_users,
    selection_of,
    validation_sample,
)
from cllm4rec.evaluation.scorer import WeightsScorer


def scorer(num_items: int) -> WeightsScorer:
    rng = np.random.default_rng(0)
    return WeightsScorer(rng.normal(size=(num_items, num_items)).astype(np.float32))


def test_few_users_are_all_of_them_and_the_selection_is_that_of_validation(planted):
    dataset = planted.dataset
    sample = validation_sample(dataset, 0)
    assert sample.users.tolist() == evaluated_users(dataset, "valid").tolist()
    model = scorer(len(dataset.items))
    wanted = evaluate_scorer(model, dataset, "valid").selection
    assert selection_of(model, sample) == pytest.approx(wanted, abs=1e-9)
    assert wanted > 0


def test_of_many_users_some_are_drawn_and_the_seed_decides_whom(planted, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_SAMPLE", 20)
    dataset = planted.dataset
    first, again, other = (validation_sample(dataset, seed).users.tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert first == sorted(set(first))
    assert len(first) == 20
    assert set(first) <= set(evaluated_users(dataset, "valid").tolist())


def test_every_row_of_the_sample_is_its_users_own(planted, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_SAMPLE", 20)
    dataset = planted.dataset
    sample = validation_sample(dataset, 3)
    for row, user in enumerate(sample.users.tolist()):
        assert sample.known.of(row).tolist() == dataset.known("valid").of(user).tolist()
        assert sample.relevant.of(row).tolist() == dataset.part("valid").of(user).tolist()
