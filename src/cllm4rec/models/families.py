"""Backbone families: which are tested, and refusals of those that cannot work.

`text_config` checks the configuration before any weight is read. `check` probes the loaded model:
it must be causal, and must treat word vectors as it treats their tokens.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.models.auto import modeling_auto

from cllm4rec import progress
from cllm4rec.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True)
class Family:
    """A family whose hidden states, training and incremental inference are tested."""

    name: str
    model_types: tuple[str, ...]
    """``model_type`` in ``config.json``."""
    own_layers: str = "no"
    """Whether `cpu_layers` has layers for it, and their limits."""
    notes: str = ""
    packed: bool = True
    """Whether the library tells documents in one row apart by their positions."""


FAMILIES = (
    Family(
        "Llama 2, Llama 3, SmolLM2",
        ("llama",),
        "yes",
        "rope scaling `linear` and `llama3` in our own layers, the other kinds in the library's",
    ),
    Family("GPT-2", ("gpt2",), "yes", "learned positions: the longest document is limited"),
    Family("Qwen 2, Qwen 2.5", ("qwen2",), notes="layers with and without a sliding window"),
    Family("Qwen 3", ("qwen3",)),
    Family("Mistral", ("mistral",), notes="sliding window"),
    Family(
        "Gemma 2",
        ("gemma2",),
        notes="word vectors are scaled by √width; attention is `eager` for its soft capping",
    ),
    Family(
        "Gemma 3 text",
        ("gemma3_text",),
        notes="word vectors are scaled by √width; bidirectional variants are refused",
    ),
    Family("Phi 3", ("phi3",)),
    Family("OLMo 2", ("olmo2",)),
    Family("GPT-NeoX, Pythia", ("gpt_neox",)),
    Family("SmolLM3", ("smollm3",), notes="every fourth layer without positions"),
    Family(
        "OPT",
        ("opt",),
        packed=False,
        notes="learned positions: the longest document is limited; batches are padded, not packed",
    ),
)

TESTED = {model_type for family in FAMILIES for model_type in family.model_types}
_PACKED = {model_type for family in FAMILIES if family.packed for model_type in family.model_types}

_NOT_SUITED = "set backbone.name to a decoder-only causal language model (docs/backbones.md)"
_PROBE = 8
"""Tokens in the causality probe."""
_TOLERANCE = {torch.float32: 1e-4}
"""Largest relative distance of states that should be equal; in half precision 0.02."""


def text_config(config: Any) -> Any:
    """The causal language model's configuration: ``config``, or its text part.

    Raises:
        InputError: an encoder, an encoder-decoder, or no language model; names family and reason.
    """
    family = config.model_type
    if config.is_encoder_decoder:
        raise InputError(f"backbone family {family!r} is an encoder-decoder; {_NOT_SUITED}")
    text = config.get_text_config(decoder=True)
    if text.model_type != family and text.model_type not in TESTED:
        raise InputError(
            f"backbone family {family!r} is multimodal and its text model {text.model_type!r} is "
            f"not among the tested families; {_NOT_SUITED}"
        )
    kind = text.model_type
    encoders = set(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    if kind in encoders and not getattr(text, "is_decoder", False):
        raise InputError(f"backbone family {kind!r} is an encoder, not causal; {_NOT_SUITED}")
    if kind not in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in TESTED:
        raise InputError(f"backbone family {kind!r} is no causal language model; {_NOT_SUITED}")
    return text


def is_packed(config: Any) -> bool:
    """Whether the library's layers of this configuration read several documents in one row."""
    return config.model_type in _PACKED


def truncate(config: Any, depth: int) -> None:
    """Keep the first ``depth`` layers, also in lists with one entry per layer."""
    layers = config.num_hidden_layers
    for name, value in list(vars(config).items()):
        # layer_types, no_rope_layers, …; not a token list of the same length
        if isinstance(value, list | tuple) and "layer" in name and len(value) == layers:
            setattr(config, name, value[:depth])
    config.num_hidden_layers = depth


_DROPOUTS = {
    "attn_pdrop",
    "embd_pdrop",
    "resid_pdrop",
    "attention_dropout",
    "dropout",
    "hidden_dropout",
}
"""Names of dropout probabilities in the families' configurations."""


def set_dropout(config: Any, probability: float) -> None:
    """Give the family's dropouts, wherever it has some, this probability in training.

    Raises:
        ConfigError: it has none.
    """
    names = [name for name in vars(config) if name in _DROPOUTS]
    if not names:
        raise ConfigError(
            f"setting backbone.dropout = {probability}: backbone family {config.model_type!r} has "
            f"no dropout; set it to 0"
        )
    for name in names:
        setattr(config, name, probability)


def check(model: Any) -> None:
    """Check that the loaded model is causal and accepts vectors in place of tokens.

    Runs a few tokens through the kept layers. An untested family that passes gets a note.

    Args:
        model: the library's, with its word embeddings.

    Raises:
        InputError: it fails; names family and reason.
    """
    family = model.config.model_type
    words: Any = model.get_input_embeddings()
    tokens = torch.linspace(0, words.weight.shape[0] - 1, _PROBE).long()
    ends_otherwise = torch.cat([tokens[:-1], tokens[1:2]])
    try:
        with torch.no_grad():
            by_token = _states(model, input_ids=tokens[None])
            by_vector = _states(model, inputs_embeds=words(tokens[None]))
            other = _states(model, inputs_embeds=words(ends_otherwise[None]))
    except Exception as error:  # models raise all kinds of errors here
        raise InputError(
            f"backbone family {family!r} cannot read a few tokens, or vectors in their place "
            f"({type(error).__name__}); {_NOT_SUITED}"
        ) from None
    tolerance = _TOLERANCE.get(model.dtype, 0.02)
    if _distance(other[:-1], by_vector[:-1]) > tolerance:
        raise InputError(
            f"backbone family {family!r} is not causal: a later token changes an earlier state; "
            f"{_NOT_SUITED}"
        )
    if _distance(by_token, by_vector) > tolerance:
        raise InputError(
            f"backbone family {family!r} treats tokens and their vectors differently; {_NOT_SUITED}"
        )
    if family not in TESTED:
        progress.note(f"backbone family {family!r} is untested; it passed the causality probe")


def _states(model: Any, **inputs: Tensor) -> Tensor:
    states: Tensor = model(**inputs, use_cache=False).last_hidden_state[0].float()
    return states


def _distance(found: Tensor, wanted: Tensor) -> float:
    """Largest relative distance of two states of the same position."""
    return float(((found - wanted).norm(dim=-1) / wanted.norm(dim=-1).clamp_min(1e-12)).max())
