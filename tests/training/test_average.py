import contextlib

import pytest
import torch
from torch import nn

from cllm4rec.training.average import Average
from reference.means import exponential_average


def walk(num_steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, generator=generator) for _ in range(num_steps + 1)]


def averaged(values: list[torch.Tensor], steps: float) -> Average:
    parameter = nn.Parameter(values[0].clone())
    average = Average({"table": parameter}, steps)
    for value in values[1:]:
        with torch.no_grad():
            parameter.copy_(value)
        average.step()
    return average


@pytest.mark.parametrize("steps", [1.5, 4.0, 1000.0])
def test_it_is_the_weighted_mean_of_all_steps(steps):
    values = walk(40)
    found = averaged(values, steps).tensors["table"]
    expected = exponential_average([value.tolist() for value in values], steps)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_standing_still_it_stands_still():
    value = torch.randn(3, 2)
    torch.testing.assert_close(averaged([value] * 20, 5.0).tensors["table"], value)


def test_in_place_for_as_long_as_asked_and_after_an_error_too():
    values = walk(7)
    average = averaged(values, 3.0)
    mean = average.tensors["table"].clone()
    parameter = average.parameters["table"]
    with average.in_place():
        assert torch.equal(parameter, mean)
    assert torch.equal(parameter, values[-1])
    with contextlib.suppress(ZeroDivisionError), average.in_place():
        raise ZeroDivisionError
    assert torch.equal(parameter, values[-1])
    assert torch.equal(average.tensors["table"], mean)


@pytest.mark.parametrize("steps", [0.0, 1.0])
def test_averaging_over_one_step_is_not_averaging(steps):
    values = walk(3)
    average = averaged(values, steps)
    with average.in_place():
        assert torch.equal(average.parameters["table"], values[-1])
    assert not average.tensors


def test_resumed_is_uninterrupted():
    values = walk(12)
    whole = averaged(values, 4.0)
    first = averaged(values[:6], 4.0)
    resumed = Average({"table": nn.Parameter(values[5].clone())}, 4.0)
    resumed.resume(first.taken, {"table": first.tensors["table"].clone()})
    for value in values[6:]:
        with torch.no_grad():
            resumed.parameters["table"].copy_(value)
        resumed.step()
    assert torch.equal(resumed.tensors["table"], whole.tensors["table"])
