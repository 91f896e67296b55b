"""Transformer layers optimised for CPUs: packed tokens, few passes over memory.

`accelerate` is the entry point; Llama and GPT-2 have layers here.
"""

from typing import Any

import torch
from torch import nn

from cllm4rec.models.cpu_layers.gpt2 import Gpt2Layers, is_gpt2
from cllm4rec.models.cpu_layers.llama import LlamaLayers, is_llama
from cllm4rec.models.cpu_layers.packed import LONGEST, KVCache, PackedLayers

Layers = PackedLayers[Any]
"""A causal model's forward pass over embeddings: ``forward``, ``last``, ``extend``."""


def accelerate(model: nn.Module, dtype: torch.dtype) -> Layers | None:
    """An optimised forward pass for the library's model; None for families without one.

    Args:
        model: the library's; its parameters are read at every call.
        dtype: compute dtype, of products and activations.
    """
    if is_llama(model):
        return LlamaLayers(model, dtype)
    return Gpt2Layers(model, dtype) if is_gpt2(model) else None


__all__ = ["LONGEST", "KVCache", "Layers", "accelerate"]
