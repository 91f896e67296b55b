"""The backbone: the first layers of a pretrained causal language model and its final norm."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from cllm4rec.config import BackboneConfig
from cllm4rec.errors import CLLM4RecError, ConfigError, InputError
from cllm4rec.models import recomputing
from cllm4rec.models.cpu_layers import LONGEST, KVCache, accelerate
from cllm4rec.models.device import PROCESSOR, compute_dtype
from cllm4rec.models.families import check, is_packed, set_dropout, text_config, truncate
from cllm4rec.models.library_cache import LibraryCache
from cllm4rec.models.packing import Packing
from cllm4rec.models.zero_states import stop_their_gradient
from cllm4rec.tokens.batch import moved

_TEXT_MODEL = {r"^(model\.language_model|language_model\.model|language_model)\.": ""}
"""Prefixes of the text model's weights in a multimodal checkpoint, mapped to a text model's own."""


class Backbone(nn.Module):
    """First ``depth`` layers of a Hugging Face causal LM and its final norm.

    Without ``dropout`` always in evaluation mode: a step is a pure function of its batch. Inputs
    are padded on the right; under causal attention no real position sees the padding, so no
    attention mask is needed.

    Args:
        model: the library's.
        trained: whether any of its parameters is trained.
        autocast: compute in bfloat16 with float32 weights.
        dropout: whether training mode has the dropout of the model's configuration.
        recompute: whether layers are computed again for their gradients.
    """

    word_scale = 1.0
    """Word vectors as a multiple of the table that the family's output head is tied to."""

    def __init__(
        self,
        model: nn.Module,
        *,
        trained: bool,
        autocast: bool,
        dropout: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.trained = trained
        self.autocast = autocast
        self.dropout = dropout
        self.reset_layers()
        self.recompute = recompute
        depth = text_config(model.config).num_hidden_layers
        stop_their_gradient(model, depth)
        if recompute:
            recomputing.recompute(model, depth)
        self.eval()

    def reset_layers(self) -> None:
        """Our own layers for the model that is there now, without casts of earlier weights."""
        self.layers = accelerate(self.model, torch.bfloat16 if self.autocast else self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def positions(self) -> int | None:
        """Longest document in tokens with learned positions; None with rotary ones."""
        # A table of one row replaces the word embeddings; OPT's table begins with a few unused
        # rows.
        tables: list[Any] = [m for m in self.model.modules() if isinstance(m, nn.Embedding)]
        lengths = [m.num_embeddings - getattr(m, "offset", 0) for m in tables]
        return min((length for length in lengths if length > 1), default=None)

    def train(self, mode: bool = True) -> "Backbone":
        """Without dropout stay in evaluation mode, whatever mode the surrounding model is in."""
        return super().train(mode and self.dropout)

    def forward(
        self,
        embedded: Float[Tensor, "batch length size"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch length size"]:
        """Hidden states after the final norm, float32, at every position.

        Args:
            embedded: padded on the right.
            lengths: of the documents, best on the CPU; states beyond them are undefined. None: no
                padding.
        """
        if self.layers is not None and self._own_layers_pay(embedded):
            if lengths is None:
                lengths = torch.full(embedded.shape[:1], embedded.shape[1])
            return self.layers.forward(embedded, lengths)
        packing = None if lengths is None else self.packing(lengths, embedded.shape[1])
        if packing is None:
            return self._states(embedded)
        states = self._states(packing.packed(embedded), packing.positions)
        return packing.unpacked(states).view(embedded.shape)

    def packing(self, lengths: Int[Tensor, " batch"], length: int) -> Packing | None:
        """How the library's layers read documents padded to a length; None: as they are."""
        return Packing.of(lengths, length) if is_packed(self.model.config) else None

    def _states(self, embedded: Tensor, positions: Tensor | None = None) -> Tensor:
        """The library's hidden states, float32."""
        given = {} if positions is None else {"position_ids": moved(positions, embedded.device)}
        with self._compute_dtype(embedded):
            output = self.model(inputs_embeds=embedded.to(self.dtype), use_cache=False, **given)
        hidden: Tensor = output.last_hidden_state.float()
        return hidden

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """Hidden states at each document's last position, ``lengths - 1``.

        Equal to those of `forward`, but the last layer skips the other positions.
        """
        if self.layers is not None and self._own_layers_pay(embedded):
            return self.layers.last(embedded, lengths)
        ends = torch.arange(len(lengths), device=lengths.device) * embedded.shape[1] + lengths - 1
        packing = self.packing(lengths, embedded.shape[1])
        if packing is None:
            ends = moved(ends, embedded.device)
            return self._states(embedded).flatten(0, 1).index_select(0, ends)
        states = self._states(packing.packed(embedded), packing.positions)
        return packing.unpacked(states, ends.cpu())

    def new_cache(self) -> KVCache | LibraryCache:
        """An empty KV cache."""
        if self.layers is not None and next(self.model.parameters()).device.type == "cpu":
            return self.layers.new_cache()
        return LibraryCache(self.model.config)

    def extend(
        self, embedded: Float[Tensor, "new size"], cache: KVCache | LibraryCache
    ) -> Float[Tensor, " size"]:
        """Append tokens to a document; return the hidden state at its new end, float32.

        Args:
            embedded: at least one token, following those in the cache.
            cache: from `new_cache`; extended in place.

        Raises:
            InputError: the library has no KV cache for this family.
        """
        if isinstance(cache, KVCache):
            assert self.layers is not None, "the cache is of other layers"
            return self.layers.extend(embedded, cache)
        with self._compute_dtype(embedded):
            return cache.extend(self.model, embedded.to(self.dtype))

    def _compute_dtype(self, embedded: Tensor) -> torch.autocast:
        return torch.autocast(embedded.device.type, torch.bfloat16, enabled=self.autocast)

    def _own_layers_pay(self, embedded: Tensor) -> bool:
        """Whether our own layers are faster: on a CPU, for short documents; they keep all."""
        if self.recompute and torch.is_grad_enabled():
            return False
        return embedded.device.type == "cpu" and embedded.shape[1] <= LONGEST


def load_backbone(
    folder: Path, config: BackboneConfig, seed: int, device: torch.device = PROCESSOR
) -> tuple[Backbone, Float[Tensor, "words size"]]:
    """Load the kept layers and the word embeddings.

    Args:
        folder: ``config.json`` and safetensors weights.
        config: depth, mode, weights and compute dtype.
        seed: of the random weights (control row) and of the adapters.
        device: target device; decides the compute dtype.

    Returns:
        The backbone, and the frozen word vectors as its first layer takes them (Gemma's are
        scaled), float32, ``[words, size]``. Both are still on the CPU, so that random weights are
        the same for every device.

    Raises:
        ConfigError: the model has fewer layers than ``config.depth``, or no dropout to set.
        InputError: configuration or weights are missing or damaged, or the family is not
            supported.
    """
    whole, hf_config = _configuration(folder)
    layers = hf_config.num_hidden_layers
    depth = config.depth or layers
    if depth > layers:
        raise ConfigError(f"setting backbone.depth = {depth}: {folder.name} has {layers} layers")
    truncate(hf_config, depth)
    if config.dropout > 0:
        set_dropout(hf_config, config.dropout)
    dtype = torch.float32 if config.mode == "full" else compute_dtype(config.dtype, device)
    model = _load_weights(folder, hf_config, dtype, inside=hf_config is not whole)
    words, word_scale = _word_vectors(model)
    if config.weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random: Any = AutoModel
            model = random.from_config(hf_config, **_attention(hf_config)).to(dtype).eval()
    check(model)
    model.requires_grad_(config.mode == "full")
    _drop_word_embeddings(model, words.shape[1])
    if config.mode == "lora":
        model = _with_adapters(model, config.lora_rank, seed)
    fast = config.mode == "full" and compute_dtype(config.dtype, device) == torch.bfloat16
    trained, dropout = config.mode != "frozen", config.dropout > 0
    backbone = Backbone(
        model,
        trained=trained,
        autocast=fast,
        dropout=dropout,
        recompute=config.activation_checkpointing,
    )
    backbone.word_scale = word_scale
    return backbone, words


def num_layers(folder: Path) -> int:
    """Layers of a backbone, all of them.

    Raises:
        InputError: there is no configuration of a causal LM.
    """
    return int(_configuration(folder)[1].num_hidden_layers)


def _configuration(folder: Path) -> tuple[Any, Any]:
    """The configuration of the folder, and the part of it that is the language model's."""
    with _readable(folder / "config.json", "is the configuration of no causal LM"):
        whole = AutoConfig.from_pretrained(folder)
        return whole, text_config(whole)


def frozen_copy(backbone: Backbone) -> Backbone:
    """The backbone itself if it is frozen, otherwise a frozen copy."""
    if not backbone.trained:
        return backbone
    model = copy.deepcopy(backbone.model).requires_grad_(False)
    dropout, recompute = backbone.dropout, backbone.recompute
    trained, autocast = False, backbone.autocast
    return Backbone(model, trained=trained, autocast=autocast, dropout=dropout, recompute=recompute)


@contextmanager
def _readable(path: Path, fault: str) -> Iterator[None]:
    """Say in one line that a backbone's file cannot be used: ``path``, ``fault`` and the mend."""
    try:
        yield
    except (CLLM4RecError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the library raises all kinds of errors here
        raise InputError(
            f"{path} {fault} ({type(error).__name__}); get the complete folder anew: config.json, "
            f"model.safetensors and tokenizer.json"
        ) from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence progress bars and warnings about layers that are deliberately not loaded."""
    logging: Any = transformers_logging  # some of its functions have no types
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _word_vectors(model: Any) -> tuple[Tensor, float]:
    """Word vectors as the embedding module returns them, and their scale: Gemma's has one there."""
    words = model.get_input_embeddings()
    with torch.no_grad():
        vectors: Tensor = words(torch.arange(words.weight.shape[0]))
        vectors, table = vectors.float(), words.weight.float()
        same = torch.equal(vectors, table)
        return vectors, 1.0 if same else float(vectors.norm() / table.norm())


def _attention(hf_config: Any) -> dict[str, str]:
    """SDPA, or eager attention for families that need more, such as soft capping."""
    has_sdpa = getattr(MODEL_MAPPING[type(hf_config)], "_supports_sdpa", False)
    return {"attn_implementation": "sdpa" if has_sdpa else "eager"}


def _load_weights(folder: Path, hf_config: Any, dtype: torch.dtype, *, inside: bool) -> Any:
    """``inside``: the checkpoint is a multimodal model's and contains the text model."""
    naming = {"key_mapping": _TEXT_MODEL} if inside else {}
    with _readable(folder, "has no weights that can be read"), quiet_transformers():
        model, report = AutoModel.from_pretrained(
            folder,
            config=hf_config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **_attention(hf_config),
            **naming,
        )
    # Layers beyond the depth are deliberately not loaded; missing weights would stay random.
    wrong = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if wrong:
        raise InputError(
            f"weights in {folder} do not fill the model: {wrong[0]} and {len(wrong) - 1} more; "
            f"give the complete folder of a causal LM"
        )
    return model


def _drop_word_embeddings(model: Any, size: int) -> None:
    """Free the backbone's word embeddings: it gets vectors, never token ids."""
    unused = nn.Embedding(1, size, dtype=model.dtype).requires_grad_(False)
    nn.init.zeros_(unused.weight)
    model.set_input_embeddings(unused)


def _with_adapters(model: Any, rank: int, seed: int) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ConfigError(
            "setting backbone.mode = 'lora' needs peft; in the checkout: "
            "pip install '.[lora]' -c constraints.txt"
        ) from None
    settings = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, settings)
