import torch
from torch import nn

from cllm4rec.training.optim import adam, trained_parameters


def test_tables_and_maps_have_their_own_rates():
    parameters = {
        "embedding.entities": nn.Parameter(torch.zeros(2)),
        "head.bias": nn.Parameter(torch.zeros(2)),
    }
    optimizer = adam(parameters, learning_rate=0.5, maps_rate=0.1, weight_decay=0.3)
    tables, maps = optimizer.param_groups
    assert (tables["peak"], maps["peak"]) == (0.5, 0.05)
    assert (tables["weight_decay"], maps["weight_decay"]) == (0.0, 0.3)
    assert tables["params"] == [parameters["embedding.entities"]]


def test_frozen_parameters_are_not_trained():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    assert set(trained_parameters(model)) == {"bias"}
