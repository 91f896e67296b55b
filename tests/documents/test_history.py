import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.config import SETS
from cllm4rec.documents.history import truncated

items_of_a_user = st.lists(st.integers(0, 99), unique=True).map(lambda i: np.array(i, np.int32))


@given(items_of_a_user, st.integers(1, 10), st.integers(0, 5))
def test_a_random_history_is_a_sample_of_the_items(items, max_items, seed):
    config = SETS.corpus.changed(max_items=max_items)
    result = truncated(items, config, np.random.default_rng(seed)).tolist()
    assert len(result) == len(set(result)) == min(len(items), max_items)
    assert set(result) <= set(items.tolist())


@given(items_of_a_user, st.integers(1, 10))
def test_a_history_in_time_order_keeps_its_newest(items, max_items):
    config = SETS.corpus.changed(order="time", max_items=max_items)
    assert truncated(items, config, None).tolist() == items.tolist()[-max_items:]


def test_every_item_of_a_long_history_has_the_same_chance():
    rng, config = np.random.default_rng(0), SETS.corpus.changed(max_items=5)
    counts = np.zeros(20)
    for _ in range(2000):
        counts[truncated(np.arange(20, dtype=np.int32), config, rng)] += 1
    # Binomial(2000, 1/4): 500 expected, standard deviation 19.4; five of them either way.
    assert np.abs(counts - 500).max() < 97
