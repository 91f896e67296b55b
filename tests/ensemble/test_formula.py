import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blend_, language_half_, linear_half_, unseen_items
from reference import blend as reference

INF, NAN = float("inf"), float("nan")


def rows_of(values: st.SearchStrategy) -> st.SearchStrategy:
    """One to four rows of four."""
    return st.lists(st.lists(values, min_size=4, max_size=4), min_size=1, max_size=4)


@given(rows_of(st.integers(-50, 50)))
def test_linear_rows_have_deviation_one_and_rows_of_equal_scores_stay(rows):
    scores = torch.tensor(rows, dtype=torch.float32)
    found = linear_half_(scores)
    assert found.dtype == torch.float32
    assert found.data_ptr() == scores.data_ptr()
    for before, after in zip(rows, found.tolist(), strict=True):
        # The mean moves no item past another and is left alone: only the unit changes.
        assert after == pytest.approx(reference.linear_half(before), rel=1e-5, abs=1e-6)
        if len(set(before)) == 1:
            assert after == before
        else:
            assert np.std(after) == pytest.approx(1, rel=1e-5)


def test_linear_rows_by_hand():
    # The standard deviation of (1, 3) is 1 and that of (0, 4) is 2.
    assert linear_half_(torch.tensor([[1.0, 3.0], [0.0, 4.0]])).tolist() == [[1, 3], [0, 2]]


@given(rows_of(st.floats(-40, 40, width=32)))
def test_language_rows_are_standardised_roots_of_the_softmax(rows):
    logits = torch.tensor(rows)
    found = language_half_(logits)
    assert found.dtype == torch.float32
    assert found.data_ptr() == logits.data_ptr()
    for before, after in zip(rows, found.tolist(), strict=True):
        roots = np.exp((np.array(before) - max(before)) / 2)
        # What rounding does to nearly equal roots is divided by their small deviation.
        error = 2e-6 / np.std(roots) if np.std(roots) > 0 else 1e-6
        assert after == pytest.approx(reference.language_half(before), rel=1e-4, abs=1e-5 + error)


def test_language_rows_by_hand():
    # Roots in units of the likeliest are 1/2 and 1: mean 3/4, standard deviation 1/4.
    found = language_half_(torch.tensor([[0.0, 2 * np.log(2)]]))
    assert found[0].tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("equal", [0.0, 3.0, 0.1, -700.0])
def test_equal_logits_say_nothing(equal):
    assert not language_half_(torch.full((1, 7), equal)).any()


@pytest.mark.parametrize("equal", [0.0, 3.0, 0.1, -0.3, 1e-30, 1e20])
@pytest.mark.parametrize("items", [1, 7, 1000, 12345])
def test_equal_linear_scores_stay(equal, items):
    scores = torch.full((1, items), equal)
    torch.testing.assert_close(linear_half_(scores.clone()), scores, rtol=1e-6, atol=0)


@pytest.mark.parametrize("wrong", [INF, NAN])
def test_a_score_that_is_no_number_spoils_its_row_and_no_other(wrong):
    rows = torch.tensor([[0.0, wrong, 1.0], [0.0, 1.0, 3.0]])
    for half_, slow in (
        (language_half_, reference.language_half),
        (linear_half_, reference.linear_half),
    ):
        found = half_(rows.clone())
        assert found[0].isnan().any()
        assert found[1].tolist() == pytest.approx(slow([0, 1, 3]), rel=1e-5)


@given(rows_of(st.floats(-4, 4, width=16)), st.floats(0, 1))
def test_the_blend_is_the_weighted_sum_and_leaves_the_linear_half_alone(rows, weight):
    language, linear = torch.tensor(rows), torch.tensor(rows).flip(1)
    before, kept = language.clone(), linear.clone()
    found = blend_(language, linear, weight)
    assert found.data_ptr() == language.data_ptr()
    assert torch.equal(linear, kept)
    wanted = (1 - weight) * before.double() + weight * kept.double()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


def test_blend_weights_at_the_ends_are_one_half_alone():
    language, linear = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 7.0]])
    assert torch.equal(blend_(language.clone(), linear, 0.0), language)
    assert torch.equal(blend_(language.clone(), linear, 1.0), linear)


@given(rows_of(st.floats(-4, 4, width=16)), st.floats(0.01, 1), st.sets(st.integers(0, 3)))
def test_unseen_items_have_the_linear_score_and_the_others_the_blend(rows, weight, unseen):
    language, linear = torch.tensor(rows), torch.tensor(rows).flip(1)
    others = blend_(language.clone(), linear, weight)
    found = blend_(language.clone(), linear, weight, torch.tensor(sorted(unseen)).long())
    for item in range(4):
        assert torch.equal(found[:, item], (linear if item in unseen else others)[:, item])


def test_without_the_linear_half_unseen_items_keep_the_language_models():
    language, linear = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 7.0]])
    assert torch.equal(blend_(language.clone(), linear, 0.0, torch.tensor([1])), language)


def test_unseen_are_those_of_no_history():
    train = Interactions.from_lists([[3, 1], [1], []], 5)
    assert unseen_items(train).tolist() == [0, 2, 4]
    assert unseen_items(Interactions.from_lists([[0, 1]], 2)) is None
