"""The suite every baseline passes, and what they share."""

import subprocess
import sys

import numpy as np
import pytest

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import BUILT_IN, SETS, reported_measures
from cllm4rec.data.item_rows import NO_ROWS
from cllm4rec.data.texts import Texts
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.evaluation.selection import Selection
from support.conformance import ScorerConformance

EPOCHS = {
    "mult-vae": (10, 20),
    "lightgcn": (40,),
    "sasrec": (5, 15),
    "sasrec-text": (5, 15),
    "sasrec-hybrid": (5,),
    "sasrec-hybrid-text": (5,),
}
"""Instead of the neural baselines' own, which take minutes."""
PACKAGES = {"ials": "implicit", "lightgcn": "torch_geometric"}
"""Extras that bring a baseline's package."""
READING = ("lm-knn", "ease-new-items", "ease-lm")
"""A language model reads in them, which takes minutes."""


@pytest.fixture(scope="module", autouse=True)
def _short_trainings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLLM4REC_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name, epochs in EPOCHS.items():
            patch.setattr(type(baseline_named(name)), "epochs", epochs)
        yield


@pytest.fixture(scope="module", params=list(BUILT_IN))
def name(request):
    if request.param in PACKAGES:
        pytest.importorskip(PACKAGES[request.param])
    return request.param


@pytest.fixture(scope="module")
def context(planted):
    return Context.of(planted.dataset, 0, selection_of(planted.dataset))


@pytest.fixture(scope="module")
def given(name, backbone):
    """Settings that take seconds: one network, a toy backbone."""
    reader = {"backbone": str(backbone), "depth": 1}
    if name.startswith("sasrec"):
        network = {"dims": [64], "dropouts": [0.2]}
        return {**network, "reader": reader} if "hybrid" in name else network
    if name == "lightgcn":
        return {"dims": [32], "layers": [2], "learning_rates": [0.02]}
    return reader if name in READING else {}


@pytest.fixture(scope="module")
def tuned(name, given, planted, context):
    baseline = baseline_named(name, given)
    return tune(baseline, planted.dataset.part("train"), context.selection, context)


def selection_of(dataset) -> Selection:
    return Selection.of(dataset, reported_measures(newest_held_out=False), 0)


class TestBaselines(ScorerConformance):
    @pytest.fixture
    def scorer(self, tuned):
        return tuned.scorer

    @pytest.fixture
    def known(self, planted):
        return planted.dataset.known("test").rows([0, 1, 2, 3, 4, 5])

    def test_candidates_are_the_grid_in_its_order(self, name, given, planted, context, monkeypatch):
        baseline = baseline_named(name, given)
        if name in EPOCHS:
            monkeypatch.setattr(type(baseline), "epochs", (1, 2))
        found = baseline.candidates(planted.dataset.part("train"), context)
        grid = baseline.grid(context.num_items)
        assert [settings for settings, _ in found] == baseline.points(context)
        assert all(settings in grid for settings in baseline.points(context))
        assert len({str(settings) for settings in grid}) == len(grid)

    def test_fitting_again_gives_the_same_scores(self, name, given, planted, context, known):
        users = np.arange(known.num_users, dtype=np.int32)
        first, second = (
            next(
                iter(baseline_named(name, given).candidates(planted.dataset.part("train"), context))
            )[1]
            for _ in range(2)
        )
        assert first.score(users, known).tobytes() == second.score(users, known).tobytes()

    def test_recovers_the_planted_taste(self, name, planted, tuned):
        """Taste is what popularity does not know: the genre most listed is one the user likes."""
        report = evaluate_scorer(tuned.scorer, planted.dataset, "test")
        popular = tune(
            baseline_named("popularity"),
            planted.dataset.part("train"),
            selection_of(planted.dataset),
            Context.of(planted.dataset),
        )
        floor = evaluate_scorer(popular.scorer, planted.dataset, "test")
        if name != "popularity":
            assert report.mean["ndcg@10"] > floor.mean["ndcg@10"] + 0.05


def test_those_that_take_minutes_are_not_asked_for_by_default():
    assert SETS.evaluate.baselines == [name for name in BUILT_IN if name not in (*EPOCHS, *READING)]
    assert all(name == baseline_named(name).name for name in BUILT_IN)


def test_torch_is_loaded_by_those_that_train_a_network_alone():
    program = "import sys, cllm4rec.baselines.tuning; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["ease", "ease-text"])
def test_a_catalogue_too_large_to_compare_its_items_is_no_candidate(name):
    assert baseline_named(name).unavailable(Context(26_000, ["guitar"] * 26_000)) is None
    context = Context(260_000, ["guitar"] * 260_000)
    assert "260,000 items are more than" in baseline_named(name).unavailable(context)


class SomeTexts:
    item_texts = (None, None)
    item_features = {"year": ("1979", None), "genres": ("Horror", "Comedy")}  # noqa: RUF012
    word_features = Texts.word_features
    added = NO_ROWS

    def item_words(self):
        return ["Alien", "Airplane"]


class Described(SomeTexts):
    item_texts = (None, "A film.")


class HardlyDescribed(SomeTexts):
    item_texts = (None, None, "A film.")


class AddedWithTexts(SomeTexts):
    item_texts = (None, None, "A film.", "A film.", "A film.")
    added = [None] * 3


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (SomeTexts(), ["Alien. 1979. Horror", "Airplane. Comedy"]),
        (Described(), ["Alien", "Airplane"]),
        (HardlyDescribed(), ["Alien. 1979. Horror", "Airplane. Comedy"]),
        (AddedWithTexts(), ["Alien. 1979. Horror", "Airplane. Comedy"]),
    ],
)
def test_features_speak_where_few_items_are_described(texts, words):
    class Data:
        items = (0, 1)
        ordered = True
        newest_held_out = False

    Data.texts = texts
    assert Context.of(Data).words == words
