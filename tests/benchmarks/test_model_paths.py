"""Hot paths of the models: layers, means, item loss."""

import functools

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, LlamaConfig, LlamaModel

from cllm4rec.models.backbone import Backbone
from cllm4rec.models.llms import running_mean
from cllm4rec.models.losses import next_token_likelihood
from reference import losses as slow_losses
from reference import means as slow_means


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def item_loss(hidden, weight, bias, targets):
    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    total = next_token_likelihood(hidden, weight, bias, targets).total
    total.backward()
    return total.detach(), hidden.grad, weight.grad


def item_loss_inputs(scored: int, items: int, size: int):
    targets = torch.arange(scored) % items
    return random(scored, size), random(items, size, seed=1), random(items, seed=2), targets


def test_item_loss_forward_and_backward(hot):
    (total, *gradients), given = hot(
        item_loss, item_loss_inputs, scored=(7, 3000), items=(11, 1447), size=(5, 576)
    )
    assert float(total) == pytest.approx(slow_losses.linear_cross_entropy(*given), rel=1e-5)
    hidden, weight, bias, targets = (
        g.double().requires_grad_() if g.is_floating_point() else g for g in given
    )
    F.cross_entropy(hidden @ weight.T + bias, targets, reduction="sum").backward()
    for found, expected in zip(gradients, (hidden.grad, weight.grad), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def mean_inputs(batch: int, length: int, size: int, decay: float):
    is_item = torch.rand(batch, length, generator=torch.Generator().manual_seed(3)) < 0.8
    return random(batch, length, size), is_item, decay


@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_running_mean(hot, decay):
    found, given = hot(
        running_mean,
        functools.partial(mean_inputs, decay=decay),
        batch=(3, 64),
        length=(9, 64),
        size=(4, 576),
    )
    expected = torch.tensor(slow_means.running_mean(*given))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def layers_inputs(batch: int, length: int, size: int, heads: int):
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=size,
        intermediate_size=8 * size // 3,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=heads // 3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config, attn_implementation="eager").eval()
    assert isinstance(model, LlamaModel)
    return Backbone(model, trained=False, autocast=False), random(batch, length, size)


def layers(backbone, embedded):
    with torch.inference_mode():
        return backbone(embedded)


def test_backbone_forward(hot):
    found, (backbone, embedded) = hot(
        layers, layers_inputs, batch=(2, 64), length=(7, 64), size=(24, 576), heads=(3, 9)
    )
    with torch.no_grad():
        for row, document in zip(found, embedded, strict=True):
            for end in range(1, len(document) + 1):
                prefix = document[:end].unsqueeze(0)
                hidden = backbone.model(inputs_embeds=prefix, use_cache=False).last_hidden_state
                torch.testing.assert_close(row[end - 1], hidden[0, -1], rtol=1e-4, atol=1e-5)
