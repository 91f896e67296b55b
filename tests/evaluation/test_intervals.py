import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.evaluation import intervals
from cllm4rec.evaluation.intervals import bootstrap_interval, holm_adjusted, paired_bootstrap_p
from cllm4rec.seeds import generator

shares = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


def test_interval_is_close_to_the_normal_one_for_many_users():
    values = np.random.default_rng(0).random(4000)
    low, high = bootstrap_interval(values, 2000)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_about_95_percent_of_intervals_hold_the_true_mean():
    rng = np.random.default_rng(0)
    holds = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.random(60), 400, seed)
        holds += low <= 0.5 <= high
    assert 182 <= holds <= 198


@given(shares)
def test_interval_lies_within_the_values(values):
    low, high = bootstrap_interval(values, 50)
    assert values.min() - 1e-12 <= low <= high <= values.max() + 1e-12


def test_same_seed_same_interval_however_the_draws_are_cut(monkeypatch):
    values = np.random.default_rng(0).random(40)
    whole = bootstrap_interval(values, 100, 7)
    assert whole == bootstrap_interval(values, 100, 7)
    assert whole != bootstrap_interval(values, 100, 8)
    monkeypatch.setattr(intervals, "_DRAWS_AT_ONCE", 41)
    assert whole == pytest.approx(bootstrap_interval(values, 100, 7), abs=0.1)


def test_every_resample_counts_when_drawn_in_pieces(monkeypatch):
    monkeypatch.setattr(intervals, "_DRAWS_AT_ONCE", 9)
    values = np.array([0.0, 1.0, 1.0])
    rng = generator(5, "bootstrap")
    means = [values[rng.integers(3, size=(3, 3), dtype=np.int32)].mean(axis=1) for _ in range(3)]
    means.append(values[rng.integers(3, size=(1, 3), dtype=np.int32)].mean(axis=1))
    wanted = np.percentile(np.concatenate(means), [2.5, 97.5])
    assert bootstrap_interval(values, 10, 5) == pytest.approx(tuple(wanted))


def test_a_clear_difference_is_one_and_noise_is_none():
    rng = np.random.default_rng(0)
    a = rng.random(500)
    assert paired_bootstrap_p(a, a - 0.1 + 0.05 * rng.normal(size=500), 999) == 1 / 1000
    assert paired_bootstrap_p(a, a + 0.05 * rng.normal(size=500), 999) > 0.05


def test_pairing_finds_what_lies_between_users_spread():
    rng = np.random.default_rng(0)
    a = rng.random(200)
    b = a + 0.01 * (rng.random(200) < 0.5)
    assert paired_bootstrap_p(b, a) < 0.01
    assert paired_bootstrap_p(rng.permutation(b), a) > 0.05


def test_p_is_spread_evenly_when_there_is_no_difference():
    rng = np.random.default_rng(0)
    p = [paired_bootstrap_p(rng.random(50), rng.random(50), 200) for _ in range(300)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09


@given(shares, st.randoms(use_true_random=False))
def test_p_is_symmetric_and_one_for_equal_models(a, random):
    b = np.array([random.random() for _ in a])
    assert paired_bootstrap_p(a, b, 50) == paired_bootstrap_p(b, a, 50)
    assert paired_bootstrap_p(a, a, 50) == 1


def test_other_users_cannot_be_paired():
    with pytest.raises(ValueError, match="3 values against 2"):
        paired_bootstrap_p(np.zeros(3), np.zeros(2))


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_holms_procedure_rejects_what_the_adjusted_values_say(p_values, level):
    """Step by step, as Holm wrote it: stop at the first that is not small enough."""
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        if (len(p_values) - step) * p_values[place] > level:
            break
        rejected.add(place)
    adjusted = holm_adjusted(p_values)
    assert {place for place, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
