"""Order in closed form: windows and ages."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.ordered import aged_matrix, ages, cut
from reference import linear_model as reference
from support.strategies import histories


def lists(interactions: Interactions) -> list[list[int]]:
    return [interactions.of(user).tolist() for user in range(interactions.num_users)]


def test_windows_are_all_runs_of_consecutive_items():
    rows = Interactions.from_lists([[4, 1, 3, 0], [], [2, 5], [5, 0, 1], [3]], 6)
    assert lists(cut(rows, 3)) == [[4, 1, 3], [1, 3, 0], [2, 5], [5, 0, 1], [3]]


@given(histories(num_items=8), st.integers(1, 6))
def test_windows_equal_the_slow_version(rows, length):
    wanted = [window for row in rows for window in reference.windows(row, length)]
    assert lists(cut(Interactions.from_lists(rows, 8), length)) == wanted


def test_the_age_of_an_item_is_the_number_of_later_ones_of_its_history():
    rows = Interactions.from_lists([[9, 2, 7], [], [3], [8, 1]], 10)
    assert ages(rows).tolist() == [2, 1, 0, 0, 1, 0]


@given(histories(num_items=8), st.sampled_from([1.0, 0.8, 0.5]))
def test_a_matrix_of_ages_has_each_item_at_its_own_age(rows, decay):
    matrix = aged_matrix(Interactions.from_lists(rows, 8), decay).toarray()
    wanted = np.zeros((len(rows), 8))
    for row, history in enumerate(rows):
        for age, item in enumerate(reversed(history)):
            wanted[row, item] = decay**age
    np.testing.assert_allclose(matrix, wanted, rtol=1e-6)
