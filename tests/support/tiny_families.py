"""Every tested family of backbones at toy size, by transformers' own configuration classes."""

from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from support.tiny_backbone import NUM_WORDS, SIZE, write_model

LAYERS = 4
WINDOW = 5
"""Sliding windows, in tokens: shorter than the tests' documents."""
POSITIONS = 256

_TOKENS = {"vocab_size": NUM_WORDS, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_BASE: dict[str, Any] = {
    **_TOKENS,
    "hidden_size": SIZE,
    "intermediate_size": 2 * SIZE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_GEMMA = {**_BASE, "head_dim": 8, "sliding_window": WINDOW, "query_pre_attn_scalar": 8}
_OPT = {"ffn_dim": 2 * SIZE, "word_embed_proj_dim": SIZE, "pad_token_id": 1}
_GPT2 = {"n_positions": POSITIONS, "n_embd": SIZE, "n_layer": LAYERS, "n_head": 4}
_WITHOUT_GROUPS = {name: value for name, value in _BASE.items() if name != "num_key_value_heads"}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama2": ("llama", {**_BASE, "tie_word_embeddings": False}),
    "llama3": ("llama", {**_BASE, "rope_parameters": _LLAMA3, "tie_word_embeddings": True}),
    "gpt2": ("gpt2", {**_TOKENS, **_GPT2}),
    "qwen2": (
        "qwen2",
        {**_BASE, "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", {**_BASE, "head_dim": 8, "tie_word_embeddings": True}),
    "mistral": ("mistral", {**_BASE, "sliding_window": WINDOW}),
    "mistral, long window": ("mistral", {**_BASE, "sliding_window": POSITIONS}),
    "gemma2": ("gemma2", _GEMMA),
    "gemma3": ("gemma3_text", {**_GEMMA, "sliding_window_pattern": 2}),
    "phi3": ("phi3", _BASE),
    "olmo2": ("olmo2", _BASE),
    "gpt_neox": ("gpt_neox", _WITHOUT_GROUPS),
    "smollm3": ("smollm3", {**_BASE, "no_rope_layer_interval": 2}),
    "opt": ("opt", {**_WITHOUT_GROUPS, **_OPT}),
}
"""Name → ``model_type`` and settings."""


def write_tiny(name: str, folder: Path, **changes: Any) -> Path:
    """Write a backbone of one of `CONFIGS`, its norms and biases drawn too.

    Weights are ten times the usual size: layers that did nothing would be equal to anything.
    """
    model_type, settings = CONFIGS[name]
    config = CONFIG_MAPPING[model_type](**{**settings, **changes})
    return write_model(folder, _lively, config)


def _lively(config: Any) -> Any:
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return model
