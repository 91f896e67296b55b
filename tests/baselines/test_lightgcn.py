"""LightGCN's search: what it tries and what it refuses."""

import pytest

from cllm4rec.baselines import Context, baseline_named, lightgcn
from cllm4rec.errors import ConfigError


def test_a_large_catalogue_gets_the_short_grid():
    small, large = (baseline_named("lightgcn").networks(items) for items in (6_000, 6_001))
    assert large == small[: len(large)]
    assert len(large) < len(small)


def test_what_to_search_is_given_as_settings():
    given = {"dims": [32], "layers": [1, 4], "learning_rates": [0.01], "losses": ["sampled"]}
    assert baseline_named("lightgcn", given).networks(12_000) == [
        {"dim": 32, "layers": 1, "learning_rate": 0.01, "loss": "sampled"},
        {"dim": 32, "layers": 4, "learning_rate": 0.01, "loss": "sampled"},
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"losses": ["full"]}, "loss 'full' does not exist; there are bpr, sampled"),
        ({"layers": [0]}, r"layers = \[0\] is no list of whole numbers from 1 to 12"),
        ({"layers": []}, "layers: an empty list leaves nothing to train"),
        ({"dims": 64}, "dims = 64 is no list of whole numbers from 1"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(given, message):
    with pytest.raises(ConfigError, match=message):
        baseline_named("lightgcn", given)


def test_without_its_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(lightgcn, "find_spec", lambda name: None)
    reason = baseline_named("lightgcn").unavailable(Context(10, [""] * 10))
    assert "pip install '.[graph]' -c constraints.txt" in reason
