"""The quick top k is the plain one, ties, gaps and all."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import ranking
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import RunError
from cllm4rec.recommender.topk import GROUP, top_k_


def quick(scores, known, k):
    rows = torch.from_numpy(known.users().astype(np.int64))
    items = torch.from_numpy(known.items.astype(np.int64))
    return top_k_(torch.tensor(scores), rows, items, k)


def some_scores(draw, rows, items):
    """Few different values, so that there are ties; some of them never to be listed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(-3, draw(st.sampled_from([0, 5, 10_000])), (rows, items))
    scores = scores.astype(np.float32) / 7
    scores[rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.5, 0.99]))] = -np.inf
    seen = rng.random(scores.shape) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    return scores, Interactions.from_lists([np.flatnonzero(row) for row in seen], items)


@given(data=st.data(), rows=st.integers(0, 4), items=st.integers(0, 200), k=st.integers(1, 12))
def test_lists_are_those_of_the_plain_top_k(data, rows, items, k):
    scores, known = some_scores(data.draw, rows, items)
    found, best = quick(scores, known, k)
    wanted, wanted_best = ranking.top_k(scores, known, k)
    assert found.tolist() == wanted.tolist()
    assert best.tolist() == wanted_best.tolist()
    assert (found.dtype, best.dtype) == (np.int32, np.float32)


@given(data=st.data(), extra=st.integers(0, GROUP - 1), k=st.integers(1, 5))
def test_a_wide_catalogue_is_looked_at_in_groups(data, extra, k):
    scores, known = some_scores(data.draw, 3, GROUP * 2 * k + extra)
    found, _ = quick(scores, known, k)
    assert found.tolist() == ranking.top_k(scores, known, k)[0].tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("items", [3, 20 * GROUP + 3])
@pytest.mark.parametrize("place", [0, -1])
def test_a_score_that_is_no_number_is_refused(wrong, items, place):
    scores = np.zeros((2, items), np.float32)
    scores[1, place] = wrong
    nothing = Interactions.from_lists([[], []], items)
    with pytest.raises(RunError, match="row 1 of the scores holds a NaN or \\+inf"):
        quick(scores, nothing, 2)
