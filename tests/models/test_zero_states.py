"""A document that begins with nobody, whose state is zero in every layer of a deep backbone."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoModel
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from cllm4rec.models.backbone import load_backbone
from cllm4rec.models.cpu_layers import fused
from cllm4rec.models.zero_states import without_gradient
from support.tiny_backbone import SIZE, write_tiny_gpt2, write_tiny_llama
from support.toy_run import PLAIN

DEEP = 16
FULL = PLAIN.backbone.changed(depth="all", dtype="float32", mode="full")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights five times as large: a zero row's gradient grows beyond float32, as in SmolLM2."""
    folder = write_tiny_llama(tmp_path_factory.mktemp("deep"), layers=DEEP)
    path = folder / "model.safetensors"
    tensors = {n: 5 * t if "proj" in n else t for n, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def gradients(model, states) -> dict[str, torch.Tensor]:
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(5)).to(states)
    (states * weights).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def exact_gradients(folder, embedded, monkeypatch) -> dict[str, torch.Tensor]:
    """The library's model in double precision throughout: its own norm computes in float32."""

    def norm(self, x):
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.variance_epsilon).sqrt()

    monkeypatch.setattr(LlamaRMSNorm, "forward", norm)
    exact = AutoModel.from_pretrained(folder, dtype=torch.float64).eval()
    found = gradients(exact, exact(inputs_embeds=embedded.double()).last_hidden_state)
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("own_layers", [True, False])
def test_gradients_are_those_of_double_precision(folder, own_layers, monkeypatch):
    embedded = torch.randn(2, 5, SIZE, generator=torch.Generator().manual_seed(0))
    embedded[0, 0] = 0  # nobody; the second document begins with somebody
    wanted = exact_gradients(folder, embedded, monkeypatch)
    backbone, _ = load_backbone(folder, FULL, seed=0)
    if not own_layers:
        backbone.layers = None
    found = gradients(backbone.model, backbone(embedded))
    assert_close(found, wanted)


def assert_close(found, wanted):
    assert len(found) == len(wanted) == 9 * DEEP + 1
    for name, gradient in found.items():
        scale = float(wanted[name].abs().max())
        torch.testing.assert_close(
            gradient.double(), wanted[name], rtol=0, atol=1e-4 * scale, msg=name
        )


def test_so_are_those_of_nobody_in_the_middle_of_a_row(folder, monkeypatch):
    embedded = torch.randn(3, 5, SIZE, generator=torch.Generator().manual_seed(0))
    embedded[2, 0] = 0
    backbone, _ = load_backbone(folder, FULL, seed=0)
    backbone.layers = None
    lengths = torch.tensor([5, 3, 2])
    assert backbone.packing(lengths, 5).positions.tolist()[1] == [0, 1, 2, 0, 1]
    states = backbone(embedded, lengths)[2:, :2]
    wanted = exact_gradients(folder, embedded[2:, :2], monkeypatch)
    assert_close(gradients(backbone.model, states), wanted)


def test_only_the_first_state_of_a_document_stops_and_none_changes():
    states = torch.randn(3, 4, 5, requires_grad=True)
    with torch.no_grad():
        states[0, 0] = 0
        states[1, 2] = 0  # between others: their attention will make it something
    stopped = without_gradient(states)
    assert torch.equal(stopped, states)
    stopped.sum().backward()
    wanted = torch.ones(3, 4)
    wanted[0, 0] = 0
    assert torch.equal(states.grad, wanted.unsqueeze(-1).expand(3, 4, 5))


def test_in_a_row_of_several_documents_each_ones_first_state_stops_alone():
    positions = torch.tensor([[0, 1, 2, 0, 1], [0, 1, 0, 1, 2]])
    states = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    for row, place in ((0, 0), (0, 2), (0, 3), (1, 1), (1, 2)):
        states[row, place] = 0
    states.requires_grad_()
    without_gradient(states, positions).sum().backward()
    wanted = torch.tensor([[0.0, 1, 1, 0, 1], [1, 1, 0, 1, 1]])
    assert torch.equal(states.grad, wanted.unsqueeze(-1).expand(2, 5, 3))


def test_a_zero_row_of_the_norm_has_no_gradient_and_the_others_have_torchs():
    x, same = (torch.randn(4, 6, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    x[2], same[2] = 0, 0
    x.requires_grad_()
    same.requires_grad_()
    weights = torch.arange(24.0).reshape(4, 6)
    (fused.rms_norm(x, 1e-6) * weights).sum().backward()
    (functional.rms_norm(same, (6,), eps=1e-6) * weights).sum().backward()
    others = [0, 1, 3]
    torch.testing.assert_close(x.grad[others], same.grad[others], rtol=1e-4, atol=1e-5)
    assert not x.grad[2].any()
    assert float(same.grad[2].abs().max()) > 1e4


def test_a_zero_vector_is_nothing_special_where_layers_add_something(tmp_path):
    """GPT-2 adds positions and biases: its gradients are the library's."""
    folder = write_tiny_gpt2(tmp_path)
    drawn = torch.zeros(1, 3, SIZE)
    exact = AutoModel.from_pretrained(folder, dtype=torch.float64).eval()
    wanted = gradients(exact, exact(inputs_embeds=drawn.double()).last_hidden_state)
    backbone, _ = load_backbone(folder, FULL, seed=0)
    backbone.layers = None
    for name, gradient in gradients(backbone.model, backbone(drawn)).items():
        torch.testing.assert_close(gradient.double(), wanted[name], rtol=1e-3, atol=1e-4)
