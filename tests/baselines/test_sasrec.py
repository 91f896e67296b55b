import itertools

import numpy as np
import pytest

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import ConfigError


@pytest.fixture
def circle():
    """Ten items in a circle, half of the users go one way: only the order tells what is next."""
    rows = [[(user + way * n) % 10 for n in range(6)] for user in range(40) for way in (1, -1)]
    return Interactions.from_lists(rows, 10)


def test_learns_what_follows_what(circle, monkeypatch):
    monkeypatch.setattr(SasRec, "epochs", (40,))
    context = Context(10, [""] * 10, ordered=True)
    _, scorer = next(iter(baseline_named("sasrec").candidates(circle, context)))
    histories = Interactions.from_lists([[3, 4], [4, 3], [8, 9, 0, 1], [1, 0, 9, 8]], 10)
    scores = scorer.score(np.arange(4, dtype=np.int32), histories)
    assert scores.argmax(axis=1).tolist() == [5, 2, 2, 7]


def test_another_seed_gives_another_network(circle, monkeypatch):
    monkeypatch.setattr(SasRec, "epochs", (1,))
    found = [
        next(iter(baseline_named("sasrec").candidates(circle, Context(10, [""] * 10, seed, True))))[
            1
        ]
        for seed in (0, 0, 1)
    ]
    first, again, other = (
        scorer.score(np.zeros(1, np.int32), circle.rows([0])).tobytes() for scorer in found
    )
    assert first == again != other


def test_a_large_catalogue_gets_the_short_grid():
    small, large = (baseline_named("sasrec").networks(items) for items in (6_000, 6_001))
    assert large == small[: len(large)]
    assert len(large) < len(small)


def test_texts_tell_of_items_that_training_has_not_seen():
    """Items of a kind follow each other; the last of each kind is never trained on."""
    kinds = [["red", "blue", "green"][item % 3] + " thing" for item in range(30)]
    rng = np.random.default_rng(0)
    rows = [(3 * rng.permutation(9)[:6] + user % 3).tolist() for user in range(90)]
    train = Interactions.from_lists(rows, 30)
    context = Context(30, kinds, ordered=True)
    baseline = baseline_named("sasrec-text", {"dims": [16], "dropouts": [0.2]})
    settings = baseline.networks(30)[0]
    points = baseline.trained(settings, train, context)
    scorer = next(scorer for epochs, scorer in points if epochs >= 20)
    asked = Interactions.from_lists([[kind, kind + 3] for kind in range(3)], 30)
    scores = scorer.score(np.zeros(3, np.int32), asked)[:, 27:]
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]


def test_without_texts_there_is_no_sasrec_with_texts():
    reason = baseline_named("sasrec-text").unavailable(Context(10, [""] * 10, ordered=True))
    assert "no two items share a word" in reason


def test_without_an_order_the_mend_is_named():
    assert baseline_named("sasrec").unavailable(Context(10, [""] * 10, ordered=True)) is None
    reason = baseline_named("sasrec").unavailable(Context(10, [""] * 10))
    assert "no order; add a column timestamp or position" in reason


def test_all_points_of_a_training_differ_in_epochs_alone():
    for name in ("mult-vae", "sasrec"):
        grid = baseline_named(name).grid(100)
        for _, points in itertools.groupby(grid, lambda p: {**p, "epochs": None}):
            assert [point["epochs"] for point in points] == list(baseline_named(name).epochs)


def test_what_to_search_is_given_as_settings():
    given = {"dims": [64], "dropouts": [0.3], "learning_rates": [1e-3, 5e-4], "losses": ["gbce"]}
    networks = baseline_named("sasrec", given).networks(12_000)
    assert [list(network.values()) for network in networks] == [
        [64, 0.3, 2, 1e-3, "gbce"],
        [64, 0.3, 2, 5e-4, "gbce"],
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"losses": ["bce"]}, "loss 'bce' does not exist; there are full, sampled, gbce"),
        ({"dims": []}, "an empty list leaves nothing to train"),
        ({"dims": ["a"]}, r"dims = \['a'\] is no list of whole numbers from 1"),
        ({"dims": 64}, "dims = 64 is no list of whole numbers from 1"),
        ({"dropouts": ["a"]}, r"dropouts = \['a'\] is no list of numbers from 0"),
        ({"dims": [1_000_000_000]}, "is no list of whole numbers from 1 to 4096"),
        ({"dropouts": [1.0]}, r"dropouts = \[1.0\] is no list of numbers from 0, below 1"),
        ({"learning_rates": [0]}, r"learning_rates = \[0\] is no list of numbers above 0"),
        ({"losses": "full"}, "losses = 'full' is no list of losses"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(given, message):
    with pytest.raises(ConfigError, match=message):
        baseline_named("sasrec", given)
