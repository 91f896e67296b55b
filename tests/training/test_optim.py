import pytest
import torch
from torch import nn

from cllm4rec.training.optim import adam, trained_parameters


def test_tables_and_maps_have_their_own_rates():
    parameters = {
        "embedding.users": nn.Parameter(torch.zeros(2)),
        "embedding.items.weight": nn.Parameter(torch.zeros(2)),
        "head.bias": nn.Parameter(torch.zeros(2)),
    }
    optimizer = adam(parameters, learning_rate=0.5, head_scale=0.1)
    tables, maps = optimizer.param_groups
    assert (tables["peak"], maps["peak"]) == (0.5, 0.05)
    assert tables["params"] == [parameters["embedding.users"], parameters["embedding.items.weight"]]


def test_a_trained_backbone_has_a_rate_of_its_own():
    names = ["backbone.model.layer", "head.projection.weight", "embedding.items.weight"]
    parameters = {name: nn.Parameter(torch.zeros(2)) for name in names}
    optimizer = adam(parameters, learning_rate=0.5, head_scale=0.1, backbone_scale=0.02)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    found = {name: groups[id(p)] for name, p in parameters.items()}
    assert [found[name]["peak"] for name in names] == pytest.approx([0.01, 0.05, 0.5])
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 3


def test_a_backbone_without_a_rate_of_its_own_has_that_of_the_maps():
    parameters = {"backbone.model.layer": nn.Parameter(torch.zeros(2))}
    [group] = adam(parameters, learning_rate=0.5, head_scale=0.1).param_groups
    assert group["peak"] == pytest.approx(0.05)


def test_frozen_parameters_are_not_trained():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    assert set(trained_parameters(model)) == {"bias"}


def test_a_step_is_seen_by_whoever_goes_by_versions():
    """The fused step alone leaves the counters where they were."""
    parameters = {
        "backbone.model.layer": nn.Parameter(torch.ones(2)),
        "embedding.items.weight": nn.Parameter(torch.ones(2)),
    }
    optimizer = adam(parameters, learning_rate=0.5, head_scale=0.1)
    before = {name: p._version for name, p in parameters.items()}
    sum(p.sum() for p in parameters.values()).backward()
    optimizer.step()
    for name, parameter in parameters.items():
        assert parameter._version > before[name]
        assert not torch.equal(parameter.detach(), torch.ones(2))
