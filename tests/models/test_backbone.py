import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cllm4rec.config import BackboneConfig
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.models.backbone import frozen_copy, load_backbone
from support.tiny_backbone import NUM_WORDS, SIZE, write_tiny_gpt2, write_tiny_llama
from support.toy_run import PLAIN

WRITERS = {"llama": write_tiny_llama, "gpt2": write_tiny_gpt2}


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path):
    return WRITERS[request.param](tmp_path, layers=3)


def config(**changes) -> BackboneConfig:
    return PLAIN.backbone.changed(**{"depth": "all", "dtype": "float32", **changes})


def test_all_layers_equal_hugging_faces_own_hidden_states(folder):
    backbone, words = load_backbone(folder, config(), seed=0)
    tokens = torch.tensor([[5, 9, 200, 7]])
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = model(tokens, output_hidden_states=True).hidden_states[-1]
        hidden = backbone(words[tokens])
    assert words.shape == (NUM_WORDS, SIZE)
    torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-5)


def test_a_truncated_backbone_equals_a_model_of_fewer_layers(folder):
    backbone, words = load_backbone(folder, config(depth=1), seed=0)
    model = (
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval().base_model
    )
    layers = "h" if hasattr(model, "h") else "layers"
    setattr(model, layers, getattr(model, layers)[:1])
    tokens = torch.tensor([[5, 9, 200, 7]])
    with torch.no_grad():
        expected = model(tokens, use_cache=False).last_hidden_state
        torch.testing.assert_close(backbone(words[tokens]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_padding_on_the_right_changes_nothing(folder, dtype):
    backbone, words = load_backbone(folder, config(dtype=dtype), seed=0)
    tokens = torch.tensor([[5, 9, 200, 7]])
    padded = torch.cat([tokens, torch.zeros(1, 6, dtype=torch.long)], dim=1)
    with torch.no_grad():
        alone, beside = backbone(words[tokens]), backbone(words[padded])[:, :4]
    torch.testing.assert_close(beside, alone, rtol=2e-2, atol=2e-2)
    if dtype == "float32":
        torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-5)


def test_modes_decide_what_is_trained(folder):
    frozen, _ = load_backbone(folder, config(), seed=0)
    full, _ = load_backbone(folder, config(mode="full"), seed=0)
    lora, words = load_backbone(folder, config(mode="lora", lora_rank=2), seed=0)
    assert not any(p.requires_grad for p in frozen.parameters())
    trained = {name for name, p in full.named_parameters() if p.requires_grad}
    assert any("norm" in name or "ln_f" in name for name in trained)
    adapters = {name for name, p in lora.named_parameters() if p.requires_grad}
    assert adapters
    assert all("lora" in name for name in adapters)
    # Adapters start as no change at all.
    tokens = torch.tensor([[5, 9]])
    with torch.no_grad():
        torch.testing.assert_close(lora(words[tokens]), frozen(words[tokens]))


def test_random_weights_keep_the_words_and_change_the_rest(folder):
    pretrained, words = load_backbone(folder, config(), seed=0)
    random, same_words = load_backbone(folder, config(weights="random"), seed=7)
    again, _ = load_backbone(folder, config(weights="random"), seed=7)
    assert torch.equal(words, same_words)
    tokens = torch.tensor([[5, 9]])
    with torch.no_grad():
        assert not torch.allclose(random(words[tokens]), pretrained(words[tokens]), atol=1e-3)
        assert torch.equal(random(words[tokens]), again(words[tokens]))


def test_dropout_never_wakes_up(folder):
    backbone, words = load_backbone(folder, config(mode="full"), seed=0)
    torch.nn.Sequential(backbone).train()
    tokens = torch.tensor([[5, 9]])
    with torch.no_grad():
        assert torch.equal(backbone(words[tokens]), backbone(words[tokens]))


def test_a_trained_backbone_is_copied_and_a_frozen_one_shared(folder):
    frozen, _ = load_backbone(folder, config(), seed=0)
    full, _ = load_backbone(folder, config(mode="full"), seed=0)
    assert frozen_copy(frozen) is frozen
    copied = frozen_copy(full)
    assert not any(p.requires_grad for p in copied.parameters())
    assert next(copied.parameters()).data_ptr() != next(full.parameters()).data_ptr()


def test_more_layers_than_there_are_is_refused(folder):
    with pytest.raises(ConfigError, match=r"backbone.depth = 4: .* has 3 layers"):
        load_backbone(folder, config(depth=4), seed=0)


def test_weights_that_do_not_fill_the_model_are_refused(tmp_path):
    folder = write_tiny_llama(tmp_path, layers=2)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"do not fill the model.*up_proj"):
        load_backbone(folder, config(), seed=0)
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 2


@pytest.mark.parametrize(
    "text",
    ['{"hidden_size": 32}', '{"model_type": "no such"}', "[1, 2]", "{", '{"hidden_size": "32"}'],
)
def test_a_configuration_of_no_model_is_one_line(tmp_path, text):
    folder = write_tiny_llama(tmp_path)
    if text == '{"hidden_size": "32"}':
        whole = json.loads((folder / "config.json").read_text())
        text = json.dumps({**whole, **json.loads(text)})
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json is .*; get the complete folder") as caught:
        load_backbone(folder, config(), seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [None, 0, 100, -100])
def test_missing_or_truncated_weights_are_one_line(tmp_path, size):
    folder = write_tiny_llama(tmp_path)
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.unlink()
    if size is not None:
        path.write_bytes(whole[:size])
    with pytest.raises(InputError, match=r"has no weights .*; get the complete folder") as caught:
        load_backbone(folder, config(), seed=0)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
