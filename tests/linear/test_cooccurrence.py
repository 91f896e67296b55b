import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.interactions import Interactions
from cllm4rec.linear.cooccurrence import cooccurrence


@given(st.lists(st.sets(st.integers(0, 5), max_size=6), max_size=8))
def test_pairs_are_those_counted_one_by_one(histories):
    wanted = np.zeros((6, 6))
    for history in histories:
        for first in history:
            for second in history - {first}:
                wanted[first, second] += 1 / (len(history) - 1)
    found = cooccurrence(Interactions.from_lists([sorted(history) for history in histories], 6))
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-5)
    assert not found.diagonal().any()
