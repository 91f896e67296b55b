"""Toy causal LMs that transformers loads from a folder: random weights, no download."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from cllm4rec.tokens.tokenizer import WordTokenizer

NUM_WORDS = 300
"""Rows of the toy backbones' word embeddings."""
SIZE = 32
"""Width of the toy backbones."""

_LINES = [
    "has interacted with, will interact with",
    "writes the following review for: has the title: has the following description:",
    "a lovely toy for the whole family, and the best film of the year",
]


def write_tiny_llama(folder: Path, *, layers: int = 2, seed: int = 0) -> Path:
    """Write a Llama, 32 wide, with 300 words: the default backbone's architecture."""
    from transformers import LlamaConfig, LlamaForCausalLM  # seconds: only where it is needed

    config = LlamaConfig(
        vocab_size=NUM_WORDS,
        hidden_size=SIZE,
        intermediate_size=2 * SIZE,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    return write_model(folder, LlamaForCausalLM, config, seed)


def write_tiny_gpt2(folder: Path, *, layers: int = 3, seed: int = 0) -> Path:
    """Write a GPT-2, 32 wide, with 300 words and dropout: the paper's architecture."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=NUM_WORDS,
        n_positions=1024,
        n_embd=SIZE,
        n_layer=layers,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    return write_model(folder, GPT2LMHeadModel, config, seed)


def write_tiny_tokenizer(folder: Path) -> Path:
    """Write ``tokenizer.json``: byte-level BPE of 300 words, ``<|endoftext|>`` among them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_WORDS,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_LINES, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@functools.cache
def tiny_tokenizer() -> WordTokenizer:
    """The toy backbones' tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        return WordTokenizer.from_folder(write_tiny_tokenizer(Path(folder)), NUM_WORDS)


def write_model(folder: Path, kind: Callable[[Any], Any], config: object, seed: int = 0) -> Path:
    """Write ``kind(config)`` with random weights, and the tiny tokenizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind(config).save_pretrained(folder)
    return write_tiny_tokenizer(folder)
