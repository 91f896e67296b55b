"""The pretrained language model of a command: found, verified, loaded and hashed once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.models.backbone import Backbone, frozen_copy, load_backbone
from cllm4rec.models.device import compute_dtype, device_of
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.seeds import derived_seed
from cllm4rec.tokens.tokenizer import WordTokenizer

CORES = torch.get_num_threads()
"""Threads that torch begins with: the cores, or what ``OMP_NUM_THREADS`` says."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A backbone with its word embeddings and tokenizer.

    Attributes:
        folder: of the files.
        backbone: the kept layers; trained in place if its mode says so.
        words: word embeddings ``float32 [words, size]``, frozen.
        tokenizer: for texts.
        device: of the models built on it.
        dtype: compute dtype of products with words and items.
    """

    folder: Path
    backbone: Backbone
    words: Float[Tensor, "words size"]
    tokenizer: WordTokenizer
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def load(cls, config: Config) -> "LanguageModel":
        """Find, verify and load ``config.backbone``; sets torch's threads.

        Raises:
            InputError: the backbone cannot be found, or does not match its tokenizer.
            ConfigError: the device does not exist, or the model has too few layers.
            IntegrityError: a file has a wrong sha256.
        """
        torch.set_num_threads(config.threads or CORES)
        device = device_of(config.device)
        folder = find_backbone(config.backbone.name)
        with progress.task("Loading the backbone"):
            backbone, words = load_backbone(
                folder, config.backbone, derived_seed(config.seed, "backbone"), device
            )
            tokenizer = WordTokenizer.from_folder(folder, num_words=words.shape[0])
        dtype = compute_dtype(config.backbone.dtype, device)
        return cls(folder, backbone, words, tokenizer, device, dtype)

    @cached_property
    def sha256(self) -> str:
        """sha256 of configuration, weights and tokenizer."""
        return fingerprint(self.folder)

    @cached_property
    def frozen(self) -> Backbone:
        """The backbone as it was before training, frozen; itself where it is never trained.

        It must be asked for before a stage trains the backbone; later stages get the same one.
        """
        return frozen_copy(self.backbone)

    @property
    def size(self) -> int:
        """Width of token vectors."""
        return self.words.shape[1]
