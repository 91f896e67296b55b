import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions

NUM_ITEMS = 7
ROWS = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), unique=True), max_size=8)


def lists(interactions: Interactions) -> list[list[int]]:
    return [interactions.of(user).tolist() for user in range(interactions.num_users)]


@given(ROWS)
def test_from_lists_round_trip(rows):
    interactions = Interactions.from_lists(rows, NUM_ITEMS)
    assert lists(interactions) == rows
    assert len(interactions) == sum(map(len, rows))
    assert interactions.counts().tolist() == list(map(len, rows))
    assert interactions.users().tolist() == [u for u, row in enumerate(rows) for _ in row]


@given(ROWS)
def test_matrix_and_item_counts_agree_with_the_lists(rows):
    interactions = Interactions.from_lists(rows, NUM_ITEMS)
    matrix = interactions.matrix()
    assert matrix.shape == (len(rows), NUM_ITEMS)
    assert matrix.dtype == np.float32
    dense = [[float(item in row) for item in range(NUM_ITEMS)] for row in rows]
    assert matrix.toarray().tolist() == dense
    assert interactions.item_counts().tolist() == [
        sum(item in row for row in rows) for item in range(NUM_ITEMS)
    ]


@given(ROWS.filter(bool), st.data())
def test_rows_takes_users_in_the_order_given(rows, data):
    users = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    chosen = Interactions.from_lists(rows, NUM_ITEMS).rows(users)
    assert lists(chosen) == [rows[user] for user in users]
    assert chosen.num_items == NUM_ITEMS


@given(ROWS, st.data())
def test_where_keeps_the_marked_in_order(rows, data):
    kept = [[data.draw(st.booleans()) for _ in row] for row in rows]
    flat = np.array([flag for row in kept for flag in row], dtype=bool)
    result = Interactions.from_lists(rows, NUM_ITEMS).where(flat)
    assert lists(result) == [
        [item for item, flag in zip(row, flags, strict=True) if flag]
        for row, flags in zip(rows, kept, strict=True)
    ]


def test_matrix_does_not_reorder_the_interactions():
    interactions = Interactions.from_lists([[3, 1, 2]], 4)
    interactions.matrix()
    assert interactions.of(0).tolist() == [3, 1, 2]


def test_users_out_of_range_are_refused():
    interactions = Interactions.from_lists([[0], [1]], 2)
    for user in (-1, 2):
        with pytest.raises(IndexError):
            interactions.of(user)
        with pytest.raises(IndexError):
            interactions.rows([0, user])
