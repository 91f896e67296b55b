"""Real data: the baselines reach the figures measured elsewhere, and an outside script agrees."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import reported_measures
from cllm4rec.data.dataset import Dataset
from cllm4rec.evaluation.protocol import evaluate_ranking, evaluate_scorer, evaluated_users
from cllm4rec.evaluation.selection import Selection
from cllm4rec.ranking import RankedItems, rank_all

GIFT_CARDS = "amazon-gift-cards-2018-5core"
MOVIELENS = "movielens-100k"
ANCHORS = {
    (GIFT_CARDS, "popularity"): (0.492, 0.671, 0.271),
    (GIFT_CARDS, "item-knn"): (0.620, 0.765, 0.333),
    (GIFT_CARDS, "ease"): (0.640, 0.768, 0.336),
    (GIFT_CARDS, "text-knn"): (0.357, 0.578, 0.239),
    (GIFT_CARDS, "ease-text"): (0.640, 0.780, 0.340),
    (MOVIELENS, "popularity"): (0.197, 0.286, 0.211),
    (MOVIELENS, "item-knn"): (0.353, 0.486, 0.352),
    (MOVIELENS, "ease"): (0.386, 0.507, 0.379),
}
"""Test Recall@20, Recall@40, NDCG@100 of shared/data/README.md."""
MARGIN = 0.005


class TrainOnly:
    """Asks with the training history, as the anchors were measured; we also give validation."""

    def __init__(self, scorer, train):
        self.scorer, self.train = scorer, train

    def score(self, users, history):
        return self.scorer.score(users, self.train.rows(users))


@pytest.fixture(scope="module")
def opened(request, tmp_path_factory):
    """Opens a set once; MovieLens from the pairs of its split, which is all that is there."""
    found = {}

    def open_set(folder):
        if folder.name not in found:
            source = folder
            if not list(folder.glob("interactions.*")):
                source = tmp_path_factory.mktemp("source")
                pairs = pq.read_table(folder / "split.parquet", columns=["user_id", "item_id"])
                pq.write_table(pairs, source / "interactions.parquet")
            prepared = tmp_path_factory.mktemp("prepared") / "data"
            split = folder / "split.parquet"
            found[folder.name] = Dataset.load(source, split=split, folder=prepared)
        return found[folder.name]

    return open_set


@pytest.mark.parametrize(("data_set", "name"), ANCHORS)
def test_a_baseline_reaches_its_anchor(shared_data, opened, data_set, name):
    dataset = opened(shared_data / data_set)
    tuned = tune(
        baseline_named(name),
        dataset.part("train"),
        Selection.of(dataset, reported_measures(newest_held_out=False), 0),
        Context.of(dataset),
    )
    asked = TrainOnly(tuned.scorer, dataset.part("train"))
    mean = evaluate_scorer(asked, dataset, "test").mean
    found = (mean["recall@20"], mean["recall@40"], mean["ndcg@100"])
    for value, anchor in zip(found, ANCHORS[data_set, name], strict=True):
        assert value >= anchor - MARGIN


def test_an_outside_script_reads_our_file_and_gives_the_same_figures(shared_data, opened, tmp_path):
    script = shared_data.parent / "tools" / "check_topk.py"
    if not script.is_file():
        pytest.skip("no shared/tools/check_topk.py")
    folder = shared_data / GIFT_CARDS
    dataset = opened(folder)
    [(_, scorer)] = baseline_named("popularity").candidates(
        dataset.part("train"), Context.of(dataset)
    )
    users = evaluated_users(dataset, "test")
    ranked = rank_all(scorer, users, dataset.known("test"), 100)
    path = tmp_path / "topk.parquet"
    ranked.write(path, dataset.users, dataset.items)
    command = [sys.executable, str(script), str(folder / "split.parquet"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = RankedItems.read(path, dataset.users, dataset.items, 100)
    mean = evaluate_ranking(again, dataset, "test").mean
    assert (
        json.loads(done.stdout).items()
        >= {
            "R@20": round(mean["recall@20"], 4),
            "R@40": round(mean["recall@40"], 4),
            "N@100": round(mean["ndcg@100"], 4),
            "users": len(users),
        }.items()
    )
