"""Transformer layers written out for a processor: packed tokens, few passes over memory.

`accelerate` is the way in: it gives the layers of a model whose family is written out here.
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
    """Our own forward pass of a library's model; None where its family is not written out.

    Args:
        model: the library's; its parameters are read at every call.
        dtype: compute dtype, of products and activations.
    """
    if is_llama(model):
        return LlamaLayers(model, dtype)
    return Gpt2Layers(model, dtype) if is_gpt2(model) else None


__all__ = ["LONGEST", "KVCache", "Layers", "accelerate"]
