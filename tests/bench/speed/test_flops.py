"""The formula against torch's own counter, which sees every product that is really made."""

import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from transformers import AutoModel

from cllm4rec.bench.speed import flops
from cllm4rec.bench.speed.flops import Cost, Shape
from cllm4rec.config import BackboneConfig
from cllm4rec.models.backbone import load_backbone
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama

LENGTHS = [9, 5, 7]
PADDED = [9, 9, 9]
WRITERS = {"llama": write_tiny_llama, "gpt2": write_tiny_gpt2}


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path):
    return WRITERS[request.param](tmp_path, layers=3)


def counted(folder, *, learning: bool, trained: bool) -> int:
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    model.eval().requires_grad_(trained)
    width = model.config.hidden_size
    embedded = torch.randn(len(PADDED), PADDED[0], width, requires_grad=learning)
    with FlopCounterMode(display=False) as counter:
        hidden = model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        if learning:
            hidden.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("learning", "trained"), [(False, False), (True, False), (True, True)], ids=str
)
def test_the_backbone_s_formula_is_what_torch_counts(folder, learning, trained):
    """Padding included and nothing hidden by causality: torch multiplies all of it."""
    shape = Shape.read(folder)
    assert shape.depth == 3
    cost = flops.backbone(shape, PADDED, 4, learning=learning, trained=trained, causal=False)
    assert cost.flops == counted(folder, learning=learning, trained=trained)


class Products(TorchDispatchMode):
    """Torch's counts without its record of modules, which stumbles over no_grad inside of one."""

    flops = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if (counts := flop_registry.get(function._overloadpacket)) is not None:
            self.flops += counts(*args, **(kwargs or {}), out_val=out)
        return out


@pytest.mark.parametrize("trained", [False, True])
def test_the_last_position_s_formula_is_what_our_layers_multiply(tmp_path, trained):
    """No program could do with less than keys and values everywhere and the rest once."""
    config = BackboneConfig(depth=3, mode="full" if trained else "frozen", dtype="float32")
    backbone, _ = load_backbone(write_tiny_llama(tmp_path, layers=3), config, 0)
    shape, lengths = Shape.read(tmp_path), torch.tensor(PADDED)
    embedded = torch.randn(len(PADDED), PADDED[0], shape.size, requires_grad=True)
    with Products() as counter:
        backbone.last(embedded, lengths).sum().backward()
    cost = flops.backbone(
        shape, PADDED, 4, learning=True, trained=trained, last_only=True, causal=False
    )
    assert cost.flops == counter.flops


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("learning", [False, True])
def test_the_head_s_formula_is_what_torch_counts(learning, trained):
    rows, size, candidates = 6, 32, 11
    maps = [torch.randn(size, size, requires_grad=learning) for _ in range(2)]
    table = torch.randn(candidates, size, requires_grad=learning and trained)
    hidden = [torch.randn(rows, size, requires_grad=learning) for _ in range(2)]
    with FlopCounterMode(display=False) as counter:
        query = hidden[0] @ maps[0] + hidden[1] @ maps[1]
        logits = query @ table.T
        if learning:
            logits.sum().backward()
    cost = flops.head(rows, size, candidates, 4, maps=2, learning=learning, trained=trained)
    assert cost.flops == counter.get_total_flops()


def test_causal_documents_cost_what_their_tokens_see(folder):
    """By loop: a token looks at itself and at what is before it, padding at nothing."""
    shape = Shape.read(folder, 2)
    seen = sum(place for length in LENGTHS for place in range(1, length + 1))
    per_pair = 2 * 2 * shape.queries  # a score and a weighted value, two operations a number
    assert flops.attention(shape, LENGTHS, 4).flops == 2 * seen * per_pair
    weights = flops.projections(shape, sum(LENGTHS), 4).flops
    assert weights == 2 * sum(LENGTHS) * shape.weights


def test_a_shape_is_cut_to_its_depth_and_knows_grouped_heads(tmp_path):
    shape = Shape.read(write_tiny_llama(tmp_path, layers=4), 2)
    assert shape == Shape(2, 32, 32, 16, 64, gated=True)
    config = json.loads((tmp_path / "config.json").read_text())
    model = AutoModel.from_pretrained(tmp_path)
    linear = [m for m in model.layers.modules() if isinstance(m, torch.nn.Linear)]
    assert Shape.read(tmp_path).weights == sum(m.weight.numel() for m in linear)
    assert config["num_key_value_heads"] < config["num_attention_heads"]


def test_bytes_are_every_operand_and_the_result_once():
    assert flops.product(2, 3, 5, itemsize=4) == Cost(60, 4 * (6 + 15 + 10))
    assert flops.adam(10) == Cost(0, 280)
    assert (Cost(6, 2) + Cost(2, 2)).intensity == 2
    assert Cost().intensity == 0
    assert Cost(3, 1) * 2 == Cost(6, 2)
