import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.service.speed import Speed

positive = st.floats(1e-4, 0.5)


@given(positive, st.floats(1e-6, 1e-3), st.lists(st.integers(1, 4096), min_size=1, max_size=40))
def test_a_line_is_learned_from_passes_of_several_sizes(fixed, per_token, sizes):
    speed = Speed()
    for tokens in [64, 2048] * 200 + sizes:
        speed.learn(tokens, fixed + per_token * tokens)
    for tokens in (64, 500, 2048):
        assert speed.seconds(tokens, 4096) == pytest.approx(fixed + per_token * tokens, rel=0.1)


@given(st.lists(st.tuples(st.integers(1, 4096), positive), max_size=30), st.integers(1, 10_000))
def test_more_tokens_never_take_less_time(passes, tokens):
    speed = Speed()
    for size, seconds in passes:
        speed.learn(size, seconds)
    assert 0 <= speed.seconds(tokens, 2048) <= speed.seconds(tokens + 100, 2048) + 1e-12
    assert speed.tokens_per_s(tokens) > 0


def test_passes_of_one_size_are_expected_to_take_what_they_took():
    speed = Speed()
    for _ in range(100):
        speed.learn(64, 0.01)
    assert speed.seconds(64, 2048) == pytest.approx(0.01, rel=0.05)
    # A full pass is no 32 small ones: most of a small pass is not in its tokens.
    assert speed.seconds(2048, 2048) < 0.5 * 32 * 0.01


def test_several_passes_cost_their_start_each():
    speed = Speed()
    assert speed.seconds(2048, 1024) > speed.seconds(2048, 2048) > 0
    assert speed.seconds(0, 2048) == 0
