"""What `make quick` leaves out follows from what the tests call; the first files are there."""

import os
import subprocess

import pytest

from cllm4rec import api
from cllm4rec.stages.train import train
from support import selection, trained
from support.selection import LONGEST, TESTS, ProcessGuard, reaches_slow


def starts_a_process():
    return subprocess.run


def trains_in_a_lambda():
    return lambda: train


def trains_through_another():
    return trains_in_a_lambda()


def uses_a_module_of_the_tests():
    return trained.small_run


def uses_a_module_of_the_package():
    return api.CLLM4Rec


class Trains:
    def method(self):
        return trains_through_another()


def makes_one_that_trains():
    return Trains()


def does_neither():
    return selection.TESTS, api, does_neither


SLOW = [
    starts_a_process,
    trains_in_a_lambda,
    trains_through_another,
    uses_a_module_of_the_tests,
    uses_a_module_of_the_package,
    makes_one_that_trains,
]


@pytest.mark.parametrize("function", SLOW, ids=lambda function: function.__name__)
def test_what_trains_or_starts_a_process_is_found(function):
    assert reaches_slow(function, set())


def test_nothing_else_is():
    assert not reaches_slow(does_neither, set())


def test_all_that_is_slow_is_where_it_is_said_to_be():
    for name in selection.SLOW:
        module, _, attribute = name.rpartition(".")
        found = getattr(__import__(module, fromlist=[attribute]), attribute)
        assert (found.__module__, found.__qualname__) == (module, attribute)


def test_the_files_that_begin_are_there():
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []


def test_a_quick_test_cannot_start_a_process():
    """The last resort, where a process is started in a way that is not seen in the code."""
    guard = ProcessGuard()
    protocol = guard.pytest_runtest_protocol()
    next(protocol)
    with pytest.raises(AssertionError, match="a quick test starts a process"):
        os.posix_spawn("/bin/true", ["true"], {})
    with pytest.raises(StopIteration):
        protocol.send(True)
    assert not guard.testing
