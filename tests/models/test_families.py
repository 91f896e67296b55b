"""Each family against the library's own forward pass; what is not suited is refused in one line."""

import functools

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    GPT2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MambaConfig,
    MambaForCausalLM,
    StableLmConfig,
    StableLmForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from cllm4rec import progress
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.models.backbone import Backbone, load_backbone
from cllm4rec.models.build import content_llm
from cllm4rec.models.cpu_layers import KVCache
from cllm4rec.models.families import FAMILIES, TESTED, set_dropout
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.library_cache import LibraryCache
from support.tiny_backbone import NUM_WORDS, SIZE, write_model
from support.tiny_families import CONFIGS, LAYERS, POSITIONS, write_tiny
from support.toy_run import PLAIN

OWN_LAYERS = {"llama2", "llama3", "gpt2"}
LENGTHS = [9, 1, 6, 12]
TOKENS = torch.randint(NUM_WORDS, (4, 12), generator=torch.Generator().manual_seed(5))
CLOSE = {"rtol": 1e-4, "atol": 2e-5}

pytestmark = pytest.mark.slow  # a dozen families at three depths


@pytest.fixture(scope="module", params=CONFIGS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return write_tiny(name, tmp_path_factory.mktemp("family"))


def load(folder, **changes) -> tuple[Backbone, torch.Tensor]:
    config = PLAIN.backbone.changed(**{"depth": "all", "dtype": "float32", **changes})
    return load_backbone(folder, config, seed=0)


loaded = functools.cache(load)
"""The same once more, for tests that change nothing."""


def by_the_library(folder, depth: int, tokens: torch.Tensor) -> torch.Tensor:
    """States of the first ``depth`` layers and the final norm, by the whole model's own pass."""
    config = AutoConfig.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, config=config, attn_implementation="eager").eval()
    layers = "h" if hasattr(model, "h") else "layers"
    owner = model.decoder if hasattr(model, "decoder") else model
    setattr(owner, layers, getattr(owner, layers)[:depth])
    model.config.num_hidden_layers = depth
    with torch.no_grad():
        return model(tokens, use_cache=False).last_hidden_state


@pytest.mark.parametrize("depth", [1, 2, "all"])
def test_hidden_states_are_the_librarys_of_the_words_own_tokens(folder, name, depth):
    """Gemma scales inside its embedding alone, so tokens are the measure, not vectors."""
    backbone, words = loaded(folder, depth=depth)
    assert (backbone.layers is not None) == (name in OWN_LAYERS)
    expected = by_the_library(folder, LAYERS if depth == "all" else depth, TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(backbone(words[TOKENS]), expected, **CLOSE)


def test_the_word_head_of_a_tied_family_is_the_librarys(folder):
    """Gemma's table is scaled where words are read, and not where they are scored."""
    library = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    if not library.config.tie_word_embeddings:
        pytest.skip("its output head is a table of its own, which is not read")
    settings = {"name": str(folder), "depth": "all", "dtype": "float32"}
    config = PLAIN.changed(backbone=settings, model={"projection": False})
    lm = LanguageModel.load(config)
    assert lm.words.shape[0] == NUM_WORDS
    model = content_llm(lm, config, lm.words[:0], lm.words[:1], np.arange(NUM_WORDS))
    with torch.no_grad():
        expected = library(TOKENS, use_cache=False).logits
        hidden = lm.backbone(lm.words[TOKENS]).flatten(0, 1)
        found = (model.head(hidden) @ model.head.candidates.T).unflatten(0, TOKENS.shape)
    cap = getattr(library.config, "final_logit_softcapping", None)
    torch.testing.assert_close(
        found if cap is None else cap * (found / cap).tanh(), expected, **CLOSE
    )


@pytest.mark.parametrize("mode", ["frozen", "lora"])
def test_a_batch_is_each_document_by_itself(folder, name, mode, monkeypatch):
    """By our own layers, and packed by the library's, beyond the sliding window too."""
    backbone, words = loaded(folder, depth="all", mode=mode, lora_rank=2)
    lengths, embedded = torch.tensor(LENGTHS), words[TOKENS]
    assert (backbone.packing(lengths, 12) is None) == (name == "opt")
    for layers in {backbone.layers, None}:
        monkeypatch.setattr(backbone, "layers", layers)
        with torch.no_grad():
            together, ends = backbone(embedded, lengths), backbone.last(embedded, lengths)
            for row, length in enumerate(LENGTHS):
                alone = backbone(embedded[row : row + 1, :length])[0]
                torch.testing.assert_close(together[row, :length], alone, **CLOSE)
                torch.testing.assert_close(ends[row], alone[-1], **CLOSE)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_one_step_of_training_reaches_every_layer(folder, mode):
    backbone, words = load(folder, mode=mode, lora_rank=2)
    trained = {n: p for n, p in backbone.named_parameters() if p.requires_grad}
    lengths = torch.tensor(LENGTHS)
    optimiser = torch.optim.SGD(trained.values(), lr=0.1)
    before = backbone.last(words[TOKENS], lengths)
    before.square().sum().backward()
    reached = {n for n, p in trained.items() if p.grad is not None and p.grad.abs().sum() > 0}
    for layer in range(LAYERS):
        assert any(f".{layer}." in name for name in reached), f"layer {layer}"
    optimiser.step()
    with torch.no_grad():
        assert not torch.allclose(backbone.last(words[TOKENS], lengths), before)


@pytest.mark.parametrize("mode", ["frozen", "lora"])
def test_a_document_that_grows_has_the_states_of_one_read_at_once(folder, name, mode):
    """Beyond the sliding window too, piece by piece."""
    backbone, words = load(folder, mode=mode, lora_rank=2)
    embedded = words[TOKENS[3]]
    kind = KVCache if name in OWN_LAYERS and mode == "frozen" else LibraryCache
    with torch.no_grad():
        whole, cache, read = backbone(embedded[None])[0], backbone.new_cache(), 0
        assert isinstance(cache, kind)
        for piece in (3, 1, 1, 4, 2, 1):
            state = backbone.extend(embedded[read : read + piece], cache)
            read += piece
            assert cache.tokens == read
            torch.testing.assert_close(state, whole[read - 1], **CLOSE)


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_learned_positions_limit_the_document(name, tmp_path):
    backbone, words = load(write_tiny(name, tmp_path), depth=1)
    assert backbone.positions == POSITIONS
    longest = torch.arange(POSITIONS) % NUM_WORDS
    with torch.no_grad():
        assert backbone(words[longest[None]]).isfinite().all()
        with pytest.raises(IndexError):
            backbone(words[torch.cat([longest, longest[:1]])[None]])


def test_random_weights_and_half_precision(folder):
    for changes in ({"weights": "random"}, {"dtype": "bfloat16"}):
        backbone, words = load(folder, **changes)
        with torch.no_grad():
            assert backbone(words[TOKENS]).isfinite().all()


def test_every_tested_family_stands_in_the_table():
    assert {model_type for model_type, _ in CONFIGS.values()} == TESTED
    assert {m for f in FAMILIES if f.own_layers != "no" for m in f.model_types} == {
        CONFIGS[name][0] for name in OWN_LAYERS
    }


SMALL = {
    "vocab_size": NUM_WORDS,
    "hidden_size": SIZE,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
VISION = {**SMALL, "hidden_size": 16, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}


def test_an_encoder_is_refused(tmp_path):
    folder = write_model(tmp_path, BertModel, BertConfig(**SMALL))
    with pytest.raises(InputError, match="family 'bert' is an encoder, not causal; set backbone"):
        load(folder)


def test_an_encoder_decoder_is_refused(tmp_path):
    config = T5Config(vocab_size=NUM_WORDS, d_model=SIZE, d_kv=8, d_ff=64, num_layers=2)
    folder = write_model(tmp_path, T5ForConditionalGeneration, config)
    with pytest.raises(InputError, match="family 't5' is an encoder-decoder"):
        load(folder)


def test_a_bidirectional_variant_of_a_tested_family_is_refused(tmp_path):
    folder = write_tiny("gemma3", tmp_path, use_bidirectional_attention=True)
    with pytest.raises(InputError, match="'gemma3_text' is not causal: a later token changes"):
        load(folder)


def test_the_text_model_of_a_multimodal_one_is_taken(tmp_path):
    text = LlamaConfig(**SMALL)
    config = LlavaConfig(
        text_config=text, vision_config=CLIPVisionConfig(**VISION), image_token_index=299
    )
    folder = write_model(tmp_path, LlavaForConditionalGeneration, config)
    backbone, words = load(folder)
    whole = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = whole.model.language_model(TOKENS, use_cache=False).last_hidden_state
        torch.testing.assert_close(backbone(words[TOKENS]), expected, **CLOSE)


def test_an_untested_family_works_by_the_probe_and_is_noted(tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(progress, "note", notes.append)
    folder = write_model(
        tmp_path, StableLmForCausalLM, StableLmConfig(**SMALL, num_key_value_heads=4)
    )
    backbone, words = load(folder)
    assert notes == ["backbone family 'stablelm' is untested; it passed the causality probe"]
    with torch.no_grad():
        expected = by_the_library(folder, 2, TOKENS)
        torch.testing.assert_close(backbone(words[TOKENS]), expected, **CLOSE)


def test_a_family_without_a_kv_cache_says_so_when_a_history_is_to_grow(tmp_path):
    folder = write_model(tmp_path, MambaForCausalLM, MambaConfig(**SMALL, state_size=4))
    backbone, words = load(folder)
    with torch.no_grad(), pytest.raises(InputError, match="family 'mamba' has no KV cache"):
        backbone.extend(words[TOKENS[0]], backbone.new_cache())


def test_dropout_is_set_wherever_the_family_has_some():
    probabilities = set_dropout_of(GPT2Config(), 0.3)
    assert probabilities == {"attn_pdrop": 0.3, "embd_pdrop": 0.3, "resid_pdrop": 0.3}
    assert set_dropout_of(LlamaConfig(), 0.3) == {"attention_dropout": 0.3}


def set_dropout_of(config, probability: float) -> dict[str, float]:
    before = dict(vars(config))
    set_dropout(config, probability)
    return {name: value for name, value in vars(config).items() if before[name] != value}


def test_dropout_of_a_family_that_has_none_is_refused():
    with pytest.raises(ConfigError, match=r"setting backbone.dropout = 0.3: .*'mamba' has no"):
        set_dropout(MambaConfig(), 0.3)
