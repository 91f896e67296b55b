"""Putting a run's parts together: data, token space and backbone become models."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cllm4rec.config import Config
from cllm4rec.corpora.prompts import Prompts
from cllm4rec.data.dataset import Dataset
from cllm4rec.linear.factors import item_factors
from cllm4rec.linear.text_vectors import item_text_vectors
from cllm4rec.models.backbone import Backbone, arithmetic, frozen_copy, load_backbone
from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, RecLLM
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.models.warm_start import history_means, noise, orthogonal_subspaces, word_means
from cllm4rec.seeds import derived_seed
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer


@dataclass(frozen=True)
class Assembly:
    """What every stage builds its models from."""

    config: Config
    dataset: Dataset
    backbone_folder: Path
    backbone: Backbone
    words: Tensor
    tokenizer: WordTokenizer
    prompts: Prompts
    space: TokenSpace

    @classmethod
    def load(cls, config: Config, dataset: Dataset) -> "Assembly":
        """Find, verify and load the backbone; lay out the token space.

        Raises:
            InputError: the backbone cannot be had or does not fit its tokenizer.
            IntegrityError: a file of it has a wrong sha256.
        """
        torch.set_num_threads(config.threads or torch.get_num_threads())
        folder = find_backbone(config.backbone.name)
        backbone, words = load_backbone(
            folder, config.backbone, derived_seed(config.seed, "backbone")
        )
        tokenizer = WordTokenizer.from_folder(folder, num_words=words.shape[0])
        space = TokenSpace(words.shape[0], len(dataset.users), len(dataset.items))
        prompts = Prompts.build(tokenizer)
        return cls(config, dataset, folder, backbone, words, tokenizer, prompts, space)

    @cached_property
    def backbone_fingerprint(self) -> str:
        """sha256 over the backbone's files."""
        return fingerprint(self.backbone_folder)

    @property
    def half_precision(self) -> bool:
        """Whether head products run in bfloat16, as the backbone's do."""
        return arithmetic(self.config.backbone.dtype) == torch.bfloat16

    def identity(self, sections: set[str], files: Mapping[str, str]) -> str:
        """sha256 of what a stage's result depends on.

        Args:
            sections: of the configuration.
            files: name → sha256 of the files it reads.
        """
        settings = self.config.model_dump(include=sections | {"seed"})
        parts = [settings, dict(files), self.backbone_fingerprint]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def warm_start(self, side: str) -> Tensor:
        """Initial token table ``[users + items, size]`` of one side.

        Args:
            side: ``collaborative`` or ``content``.
        """
        config, space = self.config.model, self.space
        seed = derived_seed(self.config.seed, "warm start", side)
        if config.warm_start == "none":
            return noise(space.num_users + space.num_items, self.words, seed)
        if config.warm_start == "words":
            items = word_means(
                self.tokenizer.encode(self.dataset.texts.item_words()), self.words, seed
            )
        else:
            items = self._factors()
        train = self.dataset.part("train")
        users = history_means(items, train.offsets, train.items)
        return torch.cat([users, items])

    def _factors(self) -> Tensor:
        """Both sides start from the same factors, so that regularisation pulls at nothing yet."""
        size, config = self.words.shape[1], self.config.model
        seed = derived_seed(self.config.seed, "factors")
        num_items = self.space.num_items
        content = np.zeros((num_items, 0), dtype=np.float32)
        if config.content:
            wanted = int(size * config.warm_start_content_share)
            content = item_text_vectors(
                self.dataset.texts.item_words(), dimensions=wanted, seed=seed
            )
        train = self.dataset.part("train")
        collaborative = item_factors(train, dimensions=size - content.shape[1], seed=seed)
        return orthogonal_subspaces(collaborative, content, self.words, seed)

    def collaborative_llm(self, entities: Tensor) -> CollaborativeLLM:
        """The model of the L-steps."""
        return CollaborativeLLM(
            self.backbone,
            ExtendedEmbedding(self.words, entities, self.space),
            self._item_head(),
            self._rankable(),
            half_precision=self.half_precision,
        )

    def rec_llm(self, entities: Tensor) -> RecLLM:
        """The model of finetuning and recommending."""
        return RecLLM(
            self.backbone,
            ExtendedEmbedding(self.words, entities, self.space),
            self._item_head(),
            self._rankable(),
            half_precision=self.half_precision,
        )

    def content_llm(self, entities: Tensor, vocabulary: np.ndarray) -> ContentLLM:
        """The model of the C-steps; its backbone is never trained."""
        if self.config.pretrain.vocabulary == "full":
            vocabulary = np.arange(self.words.shape[0])
        return ContentLLM(
            frozen_copy(self.backbone),
            ExtendedEmbedding(self.words, entities, self.space),
            WordHead(
                self.words,
                torch.from_numpy(np.asarray(vocabulary, dtype=np.int64)),
                projection=self.config.model.projection,
                half_precision=self.half_precision,
            ),
        )

    def _item_head(self) -> ItemHead:
        config = self.config.model
        return ItemHead(
            self.space.num_items,
            self.words.shape[1],
            projection=config.projection,
            skip=config.history_skip,
        )

    def _rankable(self) -> Tensor:
        """Items with a training interaction."""
        return torch.from_numpy(self.dataset.part("train").item_counts() > 0)
