import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.evaluation.protocol import evaluate
from cllm4rec.experiments.slices import ACTIVITY, POPULARITY, SLICED, slices_of
from reference.slices import sliced_means
from support.toy_bench import some_lists


def sets(interactions) -> list[set[int]]:
    return [set(interactions.of(user).tolist()) for user in range(interactions.num_users)]


@pytest.mark.parametrize("seed", range(3))
def test_slices_are_those_of_the_slow_version(planted, seed):
    dataset = planted.dataset
    ranked = some_lists(dataset, seed, skill=0.3)
    lists: list[list[int]] = [[] for _ in range(len(dataset.users))]
    for user, items in zip(ranked.users, ranked.items, strict=True):
        lists[user] = items.tolist()
    parts = [sets(dataset.part(part)) for part in ("train", "valid", "test")]
    expected = sliced_means(lists, *parts, len(dataset.items))
    found = {}
    for part in slices_of(dataset):
        report = evaluate(ranked, part.relevant, num_items=len(dataset.items))
        for metric in SLICED:
            mean, users = report.mean[metric], len(report.users)
            found[part.by, part.name, metric] = (pytest.approx(mean), users)
    assert expected == found
    assert len({by for by, *_ in found}) == 2
    assert len(found) >= 8, "the planted world fills at least four slices"


def test_each_kind_of_slice_is_the_whole_test_part(planted):
    test = planted.dataset.part("test")
    for by in ("users", "items"):
        sizes = [len(part.relevant) for part in slices_of(planted.dataset) if part.by == by]
        assert sum(sizes) == len(test)


@given(st.integers(0, 10_000))
def test_ranges_leave_no_gap_and_do_not_overlap(count):
    for ranges in (ACTIVITY, POPULARITY):
        inside = [
            low <= count <= (np.inf if high is None else high) for low, high in ranges.values()
        ]
        assert sum(inside) == 1
