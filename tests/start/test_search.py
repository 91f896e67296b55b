import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.factors import item_factors, side_by_side
from cllm4rec.linear.text_vectors import item_text_vectors
from cllm4rec.start.search import FactorStart, search

MEASURES = ("recall@20", "recall@40", "ndcg@100")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("world")
    write_planted_world(folder)
    with progress.quiet():
        return Dataset.load(folder, split=folder / "split.parquet")


def test_side_by_side_turns_root_s_into_any_power():
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(9, 3)))
    lengths = np.array([4.0, 2.0, 1.0])
    nothing = np.zeros((9, 0), dtype=np.float32)
    for power in (0.5, 1.0):
        found = side_by_side((left * lengths**0.5).astype(np.float32), nothing, power, 0.0)
        expected = left * lengths**power
        expected /= np.linalg.norm(expected, axis=1).mean()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_scores_are_mean_products_and_bias():
    start = FactorStart(
        np.array([[1, 0], [0, 2]], np.float32), np.array([0, 0.5], np.float32), 1.0, {}, 0.0
    )
    history = Interactions.from_lists([[0, 1], []], 2)
    assert start.score(np.array([0, 1]), history).tolist() == [[0.5, 2.5], [0.0, 0.5]]


def test_the_search_finds_that_texts_help_and_keeps_the_best_point(dataset):
    collaborative = item_factors(dataset.part("train"), dimensions=40, seed=0)
    content = item_text_vectors(dataset.texts.item_words(), dimensions=20, seed=0)
    with progress.quiet():
        selection = Selection.of(dataset, MEASURES, 0)
        best = search(dataset, collaborative, content, selection)
        reported = selection.value(evaluate_scorer(best, dataset, "valid"))
        without = search(dataset, collaborative, content[:, :0], selection)
    assert best.settings["text_weight"] > 0
    assert best.selection == pytest.approx(reported, abs=1e-6)
    assert best.selection > without.selection
    assert without.settings["text_weight"] == 0


def test_popularity_is_counted_in_training_alone(dataset, monkeypatch):
    monkeypatch.setattr("cllm4rec.start.search.POPULARITY_WEIGHTS", (0.1,))
    collaborative = item_factors(dataset.part("train"), dimensions=4, seed=0)
    with progress.quiet():
        selection = Selection.of(dataset, MEASURES, 0)
        best = search(dataset, collaborative, np.zeros((120, 0), np.float32), selection)
    counts = np.bincount(dataset.part("train").items, minlength=120)
    np.testing.assert_allclose(best.bias, 0.1 * np.log(1 + counts), rtol=1e-6)


def test_the_inverse_temperature_makes_the_validation_items_likeliest(dataset):
    collaborative = item_factors(dataset.part("train"), dimensions=40, seed=0)
    with progress.quiet():
        selection = Selection.of(dataset, MEASURES, 0)
        best = search(dataset, collaborative, np.zeros((120, 0), np.float32), selection)
    relevant, known = dataset.part("valid"), dataset.known("valid")
    users = np.flatnonzero(relevant.counts())
    scores = best.score(users, known.rows(users))
    relevant = relevant.rows(users)

    def cost(inverse_temperature: float) -> float:
        logits = inverse_temperature * scores.astype(np.float64)
        normaliser = np.log(np.exp(logits).sum(axis=1))
        return float(
            (normaliser[relevant.users()] - logits[relevant.users(), relevant.items]).mean()
        )

    assert cost(best.inverse_temperature) < min(
        cost(best.inverse_temperature * 1.3), cost(best.inverse_temperature / 1.3)
    )
