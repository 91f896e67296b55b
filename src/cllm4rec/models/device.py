"""Device and compute dtype of the models."""

import os
from typing import Any

import torch

from cllm4rec import progress
from cllm4rec.errors import ConfigError
from cllm4rec.run.processes import is_alone, place_on_machine

AUTO = "auto"
PROCESSOR = torch.device("cpu")
KEPT_NUMBERS = 34
"""Numbers per token, layer and unit of width that a training step keeps (Korthikanti et al.,
*Reducing Activation Recomputation in Large Transformer Models*, 2022, count 34 without scores)."""
_KEPT_SHARE = 0.5
"""Most of a GPU's memory that these may take, each of four bytes."""


def device_of(name: str) -> torch.device:
    """The device that the setting ``device`` names; ``auto``: CUDA, else the processor.

    ``auto`` is never MPS: nobody has run the tests there.

    Raises:
        ConfigError: torch finds no such device.
    """
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        count = 1 if device.type == "cpu" else _count(device)
    except RuntimeError:  # torch's own message lists every device type it knows
        device, count = PROCESSOR, 0
    if device.type == "cuda" and device.index is None and not is_alone():
        device = torch.device("cuda", place_on_machine())  # one GPU for each process
    if not count or (device.index or 0) >= count:
        raise ConfigError(
            f"setting device = {name!r}: torch {torch.__version__} finds no such device here; "
            f"set device to cpu or auto, or install torch for your GPU"
        )
    return device


def device_here(name: str) -> str:
    """The device of a saved setting where it is there; elsewhere the processor, with a note."""
    try:
        device_of(name)
    except ConfigError:
        progress.note(f"there is no device {name!r} here: the processor computes instead")
        return PROCESSOR.type
    return name


def _count(device: torch.device) -> int:
    module: Any = torch.get_device_module(device)
    return int(module.device_count()) if module.is_available() else 0


def compute_dtype(name: str, device: torch.device = PROCESSOR) -> torch.dtype:
    """Dtype of matrix products: ``auto`` is bfloat16 where the hardware supports it natively."""
    if name == AUTO:
        if device.type == "cpu":
            fast = torch.cpu._is_avx512_bf16_supported()
        else:
            fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def tokens_at_once(batch_tokens: int, device: torch.device, depth: int, width: int) -> int:
    """Tokens of a micro-batch, where a step's size is a number of users or texts.

    Where a GPU waits for kernels to be launched, few tokens take as long as many.

    Args:
        batch_tokens: the setting; a processor reads no more.
        device: that computes.
        depth: layers of the backbone.
        width: of its hidden states.
    """
    if device.type != "cuda":
        return batch_tokens
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(batch_tokens, room_for(float(memory), depth, width))


def room_for(memory: float, depth: int, width: int) -> int:
    """Tokens whose activations take half of a GPU's memory, in bytes, in float32."""
    return int(_KEPT_SHARE * memory / (4 * KEPT_NUMBERS * depth * width))


def serving_threads() -> int:
    """Torch threads of a process that answers requests: all cores but one.

    A matrix product ends with its slowest thread. With a thread on every core, that one waits for
    whatever else runs on the machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(torch.get_num_threads(), (cores or 2) - 1))
