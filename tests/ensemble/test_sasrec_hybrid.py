"""The fairest rival: SASRec with our start and our linear model."""

import numpy as np
import pytest
import torch

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.sasrec_hybrid import WEIGHTS
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.factors import item_factors
from cllm4rec.models.randomness import seeded
from reference.blend import language_half, linear_half
from support.planted_order import write_planted_order

GIVEN = {"dims": [16], "dropouts": [0.2]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("order")
    write_planted_order(folder / "in", users=60, items=20, each=6)
    with progress.quiet():
        return Dataset.load(folder / "in", protocol="leave-last-out", folder=folder / "data")


@pytest.fixture(scope="module")
def context(dataset) -> Context:
    return Context.of(dataset, 0, Selection.of(dataset, ("recall@10", "ndcg@10"), 0))


@pytest.fixture
def rival(monkeypatch):
    monkeypatch.setattr(SasRec, "epochs", (1, 2))
    return baseline_named("sasrec-hybrid", GIVEN)


def test_every_weight_is_tried_after_every_number_of_epochs(rival, dataset, context):
    with progress.quiet():
        found = list(rival.candidates(dataset.part("train"), context))
    assert [settings for settings, _ in found] == rival.grid(len(dataset.items))
    assert len(found) == 2 * len(WEIGHTS)
    assert len({id(scorer.linear) for _, scorer in found}) == 1, "the linear model is fitted once"


def test_its_scores_are_the_blend_of_both(rival, dataset, context):
    users, known = np.arange(5, dtype=np.int32), dataset.known("test").rows(range(5))
    train = dataset.part("train")
    train = train.where(train.items != 7)
    unseen = train.item_counts() == 0
    with progress.quiet():
        found = dict(
            (settings["blend"], scorer) for settings, scorer in rival.candidates(train, context)
        )
    logits = found[0.0].network.score(users, known)
    sums = found[0.0].linear.sums(known).numpy()
    for weight, scorer in found.items():
        for row, scores in enumerate(scorer.score(users, known)):
            halves = language_half(logits[row]), linear_half(sums[row])
            wanted = (1 - weight) * halves[0] + weight * halves[1]
            if weight:
                wanted[unseen] = halves[1][unseen]
            np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)


def test_its_items_begin_as_factors_at_the_norm_of_its_own_initialisation(dataset, context):
    plain, rival = baseline_named("sasrec", GIVEN), baseline_named("sasrec-hybrid", GIVEN)
    train = dataset.part("train")
    settings = rival.networks(len(dataset.items))[0]
    ours, theirs = (each.network(settings, train, context) for each in (rival, plain))
    table, noise = (each.items.weight.detach().numpy() for each in (ours, theirs))
    assert np.linalg.norm(table, axis=1).mean() == pytest.approx(
        np.linalg.norm(noise, axis=1).mean(), rel=0.2
    )
    factors = item_factors(train, dimensions=16, seed=0)  # the toy's texts are all alike
    products = factors @ factors.T
    # A rotation and a scale leave the items' products as they were, but for the scale.
    found = table @ table.T
    assert np.corrcoef(found.ravel(), products.ravel())[0, 1] > 0.99


def test_items_made_of_texts_begin_where_free_ones_do_and_learn_a_map(
    dataset, context, monkeypatch
):
    monkeypatch.setattr(SasRec, "epochs", (1,))
    given = {**GIVEN, "reader": {"depth": 0}}
    plain, texts = (baseline_named(f"sasrec-hybrid{end}", given) for end in ("", "-text"))
    train = dataset.part("train")
    settings = texts.networks(len(dataset.items))[0]
    with seeded(0, "weights"):
        before = plain.network(settings, train, context).items
    with seeded(0, "weights"):
        begun = texts.network(settings, train, context).items
    assert np.array_equal(begun.get_buffer("texts"), context.text_vectors)
    assert torch.equal(begun.vectors(), begun.weight)
    assert begun.weight.norm(dim=1).mean().item() == pytest.approx(
        before.weight.norm(dim=1).mean().item(), rel=0.2
    )
    with progress.quiet():
        _, scorer = next(iter(texts.candidates(train, context)))
    assert scorer.network.network.items.get_parameter("map.weight").abs().max() > 0


def test_it_is_tuned_like_any_baseline(rival, dataset, context):
    with progress.quiet():
        tuned = tune(rival, dataset.part("train"), context.selection, context)
    assert tuned.settings["blend"] in WEIGHTS
