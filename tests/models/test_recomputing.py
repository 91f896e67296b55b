"""Activation checkpointing: the same gradients, from less that is kept."""

import pytest
import torch

from cllm4rec.models.backbone import frozen_copy, load_backbone
from support.tiny_backbone import SIZE, write_tiny_llama
from support.tiny_families import write_tiny
from support.toy_run import PLAIN

LENGTHS = torch.tensor([9, 2, 1])


def load(folder, *, again: bool, mode: str = "full", dropout: float = 0.0):
    given = {"depth": "all", "dtype": "float32", "mode": mode, "dropout": dropout}
    config = PLAIN.backbone.changed(**given, activation_checkpointing=again)
    return load_backbone(folder, config, seed=0)[0].train()


def step(backbone, *, own_layers: bool = True):
    """States and gradients of a batch, and the bytes that its forward pass keeps."""
    if not own_layers:
        backbone.layers = None
    generator = torch.Generator().manual_seed(1)
    embedded = torch.randn(3, 9, SIZE, generator=generator).requires_grad_()
    kept = []

    def keep(tensor):
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = backbone(embedded, LENGTHS)
    real = torch.arange(9) < LENGTHS[:, None]
    states[real].square().sum().backward()
    gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    return states.detach()[real], {**gradients, "embedded": embedded.grad}, sum(kept)


def assert_same(found, wanted, **close):
    torch.testing.assert_close(found[0], wanted[0], **close)
    assert found[1].keys() == wanted[1].keys()
    for name, gradient in wanted[1].items():
        torch.testing.assert_close(found[1][name], gradient, **close)


@pytest.mark.parametrize("mode", ["full", "lora", "frozen"])
@pytest.mark.parametrize("name", ["llama2", "gpt2", "gemma3"])
def test_gradients_are_those_of_layers_that_keep_all(name, mode, tmp_path):
    folder = write_tiny(name, tmp_path)
    plain = step(load(folder, again=False, mode=mode), own_layers=False)
    assert_same(step(load(folder, again=True, mode=mode)), plain, rtol=0, atol=0)
    own = step(load(folder, again=False, mode=mode))
    assert_same(own, plain, rtol=1e-3, atol=1e-4)


def test_a_deep_model_keeps_a_fraction(tmp_path):
    folder = write_tiny_llama(tmp_path, layers=8)
    _, _, all_of_it = step(load(folder, again=False), own_layers=False)
    _, _, inputs = step(load(folder, again=True))
    assert inputs < all_of_it / 5


def test_dropout_draws_the_same_again(tmp_path):
    folder = write_tiny("gpt2", tmp_path)
    plain = step(load(folder, again=False, dropout=0.3), own_layers=False)
    again = load(folder, again=True, dropout=0.3)
    assert_same(step(again), plain, rtol=0, atol=0)
    assert not torch.equal(plain[0], step(load(folder, again=True))[0]), "there was dropout"


def test_a_frozen_copy_is_a_copy(tmp_path):
    folder = write_tiny_llama(tmp_path)
    backbone = load(folder, again=True)
    copy = frozen_copy(backbone)
    before = step(copy)[0]
    for layer in copy.model.layers:
        assert layer.forward.args[0].__self__ is layer, "its own, and wrapped once"
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.mul_(3)
    torch.testing.assert_close(step(copy)[0], before, rtol=0, atol=0)


def test_without_gradients_our_own_layers_answer(tmp_path):
    folder = write_tiny_llama(tmp_path)
    again, plain = load(folder, again=True), load(folder, again=False)
    embedded = torch.randn(3, 9, SIZE)
    with torch.no_grad():
        assert torch.equal(again(embedded, LENGTHS), plain(embedded, LENGTHS))
        assert torch.equal(again.last(embedded, LENGTHS), plain.last(embedded, LENGTHS))
