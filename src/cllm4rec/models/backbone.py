"""The causal language model underneath: its first layers and its final norm."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from cllm4rec.config import BackboneConfig
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.models.cpu_layers.gpt2 import Gpt2Layers, is_gpt2
from cllm4rec.models.cpu_layers.llama import LlamaLayers, is_llama
from cllm4rec.models.cpu_layers.packed import LONGEST, PackedLayers
from cllm4rec.models.device import PROCESSOR, arithmetic


class Backbone(nn.Module):
    """First ``depth`` layers of a Hugging Face causal LM and its final norm.

    Always in evaluation mode: no dropout, so that a step is a pure function of its batch. Inputs
    are padded on the right; causal attention lets no real position see the padding, so no
    attention mask is needed.
    """

    def __init__(self, model: nn.Module, *, trained: bool, autocast: bool) -> None:
        super().__init__()
        self.model = model
        self.trained = trained
        self.autocast = autocast
        dtype = torch.bfloat16 if autocast else self.dtype
        self.layers = written_out(model, dtype)
        self.eval()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def positions(self) -> int | None:
        """Longest document, in tokens, where positions are a table; None where they are turned."""
        # The word embeddings' place is held by a table of one row.
        tables = [m for m in self.model.modules() if isinstance(m, nn.Embedding)]
        return min((m.num_embeddings for m in tables if m.num_embeddings > 1), default=None)

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode whatever the surrounding model does."""
        return super().train(False)

    def forward(
        self,
        embedded: Float[Tensor, "batch length size"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch length size"]:
        """Hidden states after the final norm, float32, at every position.

        Args:
            embedded: padded on the right.
            lengths: of the documents; what stands beyond them has no meaning. None: no padding.
        """
        if self.layers is not None and _written_out_pays(embedded):
            if lengths is None:
                lengths = torch.full(embedded.shape[:1], embedded.shape[1])
            return self.layers.forward(embedded, lengths)
        with torch.autocast(embedded.device.type, torch.bfloat16, enabled=self.autocast):
            output = self.model(inputs_embeds=embedded.to(self.dtype), use_cache=False)
        hidden: Tensor = output.last_hidden_state.float()
        return hidden

    def last(
        self, embedded: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch size"]:
        """Hidden states at each document's last position, ``lengths - 1``, alone.

        The same numbers as of `forward`, without the last layer's work for the other positions.
        """
        if self.layers is not None and _written_out_pays(embedded):
            return self.layers.last(embedded, lengths)
        rows = torch.arange(len(lengths), device=embedded.device)
        return self.forward(embedded, lengths)[rows, lengths - 1]


def _written_out_pays(embedded: Tensor) -> bool:
    """Whether our own layers are the faster ones: a GPU has attention kernels of its own."""
    return embedded.device.type == "cpu" and embedded.shape[1] <= LONGEST


def written_out(model: nn.Module, dtype: torch.dtype) -> PackedLayers[Any] | None:
    """Our own forward pass of the model, where there is one."""
    if is_llama(model):
        return LlamaLayers(model, dtype)
    return Gpt2Layers(model, dtype) if is_gpt2(model) else None


def load_backbone(
    folder: Path, config: BackboneConfig, seed: int, device: torch.device = PROCESSOR
) -> tuple[Backbone, Float[Tensor, "words size"]]:
    """Load the kept layers and the word embeddings.

    Args:
        folder: ``config.json`` and safetensors weights.
        config: depth, mode, weights and arithmetic.
        seed: of the random weights (control row) and of the adapters.
        device: that it is meant for, which decides the arithmetic.

    Returns:
        The backbone and the frozen word embeddings, float32, ``[words, size]``; both on the
        processor still, where random weights are the same for every device.

    Raises:
        ConfigError: more layers asked for than there are.
        InputError: the folder's weights do not fill the model.
    """
    hf_config = AutoConfig.from_pretrained(folder)
    layers = hf_config.num_hidden_layers
    depth = config.depth or layers
    if depth > layers:
        raise ConfigError(f"setting backbone.depth = {depth}: {folder.name} has {layers} layers")
    hf_config.num_hidden_layers = depth
    dtype = torch.float32 if config.mode == "full" else arithmetic(config.dtype, device)
    model = _load_weights(folder, hf_config, dtype)
    words = model.get_input_embeddings().weight.detach().float().clone()
    if config.weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random: Any = AutoModel
            model = random.from_config(hf_config, attn_implementation="sdpa").to(dtype)
    model.requires_grad_(config.mode == "full")
    _drop_word_embeddings(model)
    if config.mode == "lora":
        model = _with_adapters(model, config.lora_rank, seed)
    fast = config.mode == "full" and arithmetic(config.dtype, device) == torch.bfloat16
    return Backbone(model, trained=config.mode != "frozen", autocast=fast), words


def frozen_copy(backbone: Backbone) -> Backbone:
    """The same backbone where it is frozen, a frozen copy of it where it is trained."""
    if not backbone.trained:
        return backbone
    model = copy.deepcopy(backbone.model).requires_grad_(False)
    return Backbone(model, trained=False, autocast=backbone.autocast)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no reports of layers that are left in the file on purpose."""
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


def _load_weights(folder: Path, hf_config: Any, dtype: torch.dtype) -> Any:
    with quiet_transformers():
        model, report = AutoModel.from_pretrained(
            folder,
            config=hf_config,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            output_loading_info=True,
        )
    # Layers beyond the depth are left in the file on purpose; anything that is not filled would
    # be random.
    wrong = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if wrong:
        raise InputError(
            f"weights in {folder} do not fill the model: {wrong[0]} and {len(wrong) - 1} more; "
            f"give the complete folder of a causal LM"
        )
    return model


def _drop_word_embeddings(model: Any) -> None:
    """Free the backbone's own copy: words reach it as vectors only."""
    unused = nn.Embedding(1, model.config.hidden_size, dtype=model.dtype).requires_grad_(False)
    nn.init.zeros_(unused.weight)
    model.set_input_embeddings(unused)


def _with_adapters(model: Any, rank: int, seed: int) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ConfigError(
            "setting backbone.mode = 'lora' needs peft; pip install 'cllm4rec[lora]'"
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
