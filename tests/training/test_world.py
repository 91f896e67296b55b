"""Shares and sums of one process; several are in stages/test_several_processes.py."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import ConfigError
from cllm4rec.training.world import ALONE, World

LENGTHS = st.lists(st.integers(1, 300), max_size=60)


@given(LENGTHS, st.integers(1, 6))
def test_shares_are_a_partition_whatever_there_is_to_share(lengths, size):
    shares = [World(rank, size).share(lengths) for rank in range(size)]
    assert sorted(index for share in shares for index in share) == list(range(len(lengths)))
    assert all(share == sorted(share) for share in shares)


@given(LENGTHS, st.integers(2, 6))
def test_no_process_has_more_than_a_document_above_another(lengths, size):
    loads = [
        sum(lengths[index] for index in World(rank, size).share(lengths)) for rank in range(size)
    ]
    assert max(loads) - min(loads) <= max(lengths, default=0)


def test_a_process_may_have_nothing_to_do():
    assert [World(rank, 4).share([7, 9]) for rank in range(4)] == [[1], [0], [], []]


def test_one_process_sums_gathers_and_waits_for_nobody():
    tensor = torch.tensor([1.0, 2.0])
    ALONE.sum_([tensor])
    ALONE.same_([tensor])
    ALONE.wait()
    assert tensor.tolist() == [1.0, 2.0]
    assert ALONE.total({"likelihood": 3}, ["likelihood", "mutual"]) == {"likelihood": 3}
    assert ALONE.of_main(lambda: (1, 2)) == (1, 2)  # not through JSON
    assert ALONE.share([5, 6, 7]) == [0, 1, 2]
    assert ALONE.names == ()


def test_dropout_is_another_on_every_process():
    names = [World(rank, 3).names for rank in range(3)]
    assert len(set(names)) == 3


def test_an_error_of_ours_is_not_taken_for_a_lost_process():
    world = World(0, 2, {"cpu": None})
    with pytest.raises(Exception, match="process group"):
        world.sum_([torch.zeros(1)])


def test_a_device_that_nothing_sums_on_is_refused_to_several_processes():
    world = World(0, 2, {"cpu": None, "cuda": None})
    world.refuse_device(torch.device("cuda:1"))
    with pytest.raises(
        ConfigError, match="device = 'meta': several processes train on cpu and cud"
    ):
        world.refuse_device(torch.device("meta"))
    ALONE.refuse_device(torch.device("meta"))
