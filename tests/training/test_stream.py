from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.training.loop import Pass
from cllm4rec.training.stream import stream


@given(st.integers(1, 20), st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_passes_cut_endless_epochs_without_gap_or_overlap(size, counts):
    drawn, start = [], 0
    for count in counts:
        drawn += stream(size, Pass("content", start, count), seed=3)
        start += count
    for first in range(0, len(drawn) - size + 1, size):
        epoch = drawn[first : first + size]
        assert sorted(d.index for d in epoch) == list(range(size))
        assert {d.epoch for d in epoch} == {first // size}


def test_the_order_changes_from_epoch_to_epoch_and_repeats_with_the_seed():
    first, second = (
        [d.index for d in stream(50, Pass("content", 50 * epoch, 50), seed=1)] for epoch in (0, 1)
    )
    assert first != second
    assert first == [d.index for d in stream(50, Pass("content", 0, 50), seed=1)]
    assert first != [d.index for d in stream(50, Pass("content", 0, 50), seed=2)]
