"""The formula against torch's own counter, which sees every product that is really made."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from cllm4rec.planning import flops
from cllm4rec.planning.flops import Cost, Shape
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


@pytest.mark.parametrize("trained", [False, True])
def test_the_last_position_needs_keys_and_values_everywhere_and_the_rest_once(folder, trained):
    """By loop, token by token; forward, then one gradient of each operand that has one."""
    shape = Shape.read(folder, 3)
    expected = 0
    for length in LENGTHS:
        for layer in range(3):
            for place in range(length):
                is_asked = layer < 2 or place == length - 1
                for number, (inputs, outputs) in enumerate(shape.products()):
                    if is_asked or number in (1, 2):
                        expected += 2 * inputs * outputs * (2 + trained)
                if is_asked:
                    expected += 3 * 2 * 2 * shape.queries * (place + 1)
    cost = flops.backbone(shape, LENGTHS, 4, learning=True, trained=trained, last_only=True)
    assert cost.flops == expected


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
