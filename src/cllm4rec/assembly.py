"""Putting a run's parts together: data, token space and backbone become models."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cllm4rec.baselines import Context
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.errors import ConfigError, InputError
from cllm4rec.linear.factors import item_factors
from cllm4rec.linear.text_vectors import item_text_vectors
from cllm4rec.models.backbone import Backbone, frozen_copy, load_backbone
from cllm4rec.models.device import arithmetic, device_of
from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, RecLLM
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.seeds import derived_seed
from cllm4rec.start.search import FactorStart, search
from cllm4rec.start.vectors import history_means, noise, turned, word_means
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.tokens.tokenizer import WordTokenizer

SAMPLE = 128
"""Documents whose hidden states give the item head's centre and spread."""


@dataclass(frozen=True)
class WarmStart:
    """Initial values.

    Attributes:
        collaborative: z^l, ``[users + items, size]``.
        content: z^c, ``[users + items, size]``.
        bias: of the item head, ``[items]``.
        log_scale: of the item head.
        settings: what a search chose, for the record.
    """

    collaborative: Tensor
    content: Tensor
    bias: Tensor
    log_scale: float
    settings: dict[str, float]


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
    device: torch.device

    @classmethod
    def load(cls, config: Config, dataset: Dataset) -> "Assembly":
        """Find, verify and load the backbone; lay out the token space.

        Raises:
            InputError: the backbone cannot be had or does not fit its tokenizer.
            ConfigError: a document may be longer than the backbone can read; there is no such
                device.
            IntegrityError: a file of it has a wrong sha256.
        """
        torch.set_num_threads(config.threads or torch.get_num_threads())
        device = device_of(config.device)
        folder = find_backbone(config.backbone.name)
        backbone, words = load_backbone(
            folder, config.backbone, derived_seed(config.seed, "backbone"), device
        )
        tokenizer = WordTokenizer.from_folder(folder, num_words=words.shape[0])
        space = TokenSpace(words.shape[0], len(dataset.users), len(dataset.items))
        prompts = Prompts.build(tokenizer)
        _refuse_too_long(config, backbone, prompts)
        return cls(config, dataset, folder, backbone, words, tokenizer, prompts, space, device)

    @cached_property
    def backbone_fingerprint(self) -> str:
        """sha256 over the backbone's files."""
        return fingerprint(self.backbone_folder)

    @property
    def half_precision(self) -> bool:
        """Whether head products run in bfloat16, as the backbone's do."""
        return arithmetic(self.config.backbone.dtype, self.device) == torch.bfloat16

    def identity(self, sections: set[str], files: Mapping[str, str]) -> str:
        """sha256 of what a stage's result depends on.

        Args:
            sections: of the configuration.
            files: name → sha256 of the files it reads.
        """
        settings = self.config.model_dump(include=sections | {"seed"})
        parts = [settings, dict(files), self.backbone_fingerprint]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def warm_start(self) -> WarmStart:
        """Where both token tables and the item head start (``model.warm_start``)."""
        config, space, seed = self.config.model, self.space, self.config.seed
        no_bias = torch.zeros(space.num_items)
        if config.warm_start == "none":
            rows = space.num_users + space.num_items
            both = [
                noise(rows, self.words, derived_seed(seed, "warm start", side))
                for side in ("collaborative", "content")
            ]
            return WarmStart(both[0], both[1], no_bias, 0.0, {})
        if config.warm_start == "words":
            texts = self.tokenizer.encode(self.item_words)
            items = word_means(texts, self.words, derived_seed(seed, "warm start"))
            entities = self._with_users(items)
            return WarmStart(entities, entities, no_bias, 0.0, {})
        start = self._factors()
        items = turned(start.vectors, self.words, derived_seed(seed, "rotation"))
        entities = self._with_users(items)
        # Products of the longer vectors are larger by the square; the head's scale takes that back.
        scale = float(items.norm(dim=1).mean().square().reciprocal() * start.sharpness)
        settings = {**start.settings, "selection": start.selection, "sharpness": start.sharpness}
        bias = torch.from_numpy(start.bias) * start.sharpness
        return WarmStart(entities, entities, bias, math.log(scale), settings)

    @cached_property
    def item_words(self) -> list[str]:
        """One text per item; empty texts where texts are not to be used."""
        if not self.config.model.content:
            return [""] * self.space.num_items
        return list(Context.of(self.dataset).words)

    def _factors(self) -> FactorStart:
        """Both sides start from the same factors, so that regularisation pulls at nothing yet."""
        size = self.words.shape[1]
        seed = derived_seed(self.config.seed, "factors")
        wanted = int(size * self.config.model.warm_start_content_share)
        content = item_text_vectors(self.item_words, dimensions=wanted, seed=seed)
        train = self.dataset.part("train")
        collaborative = item_factors(train, dimensions=size - content.shape[1], seed=seed)
        return search(self.dataset, collaborative, content, seed)

    def _with_users(self, items: Tensor) -> Tensor:
        """Users, as the mean of their training items, above the items."""
        train = self.dataset.part("train")
        return torch.cat([history_means(items, train.offsets, train.items), items])

    def collaborative_llm(self, start: WarmStart) -> CollaborativeLLM:
        """The model of the L-steps."""
        model = CollaborativeLLM(
            self.backbone,
            ExtendedEmbedding(self.words, start.collaborative, self.space),
            self._item_head(),
            self._rankable(),
            half_precision=self.half_precision,
            skip_decay=self.config.model.skip_decay,
        )
        with torch.no_grad():
            model.head.bias.copy_(start.bias)
            model.head.log_scale.fill_(start.log_scale)
        return model.to(self.device)

    def rec_llm(self, entities: Tensor) -> RecLLM:
        """The model of finetuning and recommending."""
        return RecLLM(
            self.backbone,
            ExtendedEmbedding(self.words, entities, self.space),
            self._item_head(),
            self._rankable(),
            half_precision=self.half_precision,
            skip_decay=self.config.model.skip_decay,
            dropout=self.config.finetune.dropout,
        ).to(self.device)

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
        ).to(self.device)

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


def _refuse_too_long(config: Config, backbone: Backbone, prompts: Prompts) -> None:
    if backbone.positions is None:
        return
    one, none = entity(0), np.empty(0, np.int32)
    # The slots that the setting limits are empty; a column's name is capped as its values are.
    frames = {
        "max_items": [
            prompts.history.fill(user=one),
            prompts.recommendation.fill(user=one, items=none),
        ],
        "max_words": [
            prompts.review.fill(user=one, item=one),
            prompts.item_title.fill(item=one),
            prompts.item_description.fill(item=one),
        ],
        "max_feature_words": [
            prompts.item_feature.fill(item=one, column=none),
            prompts.user_feature.fill(user=one, column=none),
        ],
    }
    for name, framed in frames.items():
        most = backbone.positions - max(map(len, framed))
        if name == "max_feature_words":
            most //= 2
        if getattr(config.corpus, name) > most:
            raise ConfigError(
                f"setting corpus.{name} = {getattr(config.corpus, name)}: backbone "
                f"{config.backbone.name!r} reads {backbone.positions} tokens at most, prompt "
                f"included; set corpus.{name} to {most} or less"
            )


def standardise(model: CollaborativeLLM, documents: Sequence[Document]) -> None:
    """Set the item head's centre and spread from the hidden states of some documents.

    Raises:
        InputError: there is no document.
    """
    if not documents:
        raise InputError(
            "no user has enough training items to learn from (finetune.target = 'holdout' needs "
            "two of one user, 'next' one); give longer histories, or a split that holds out less"
        )
    model.eval()  # dropout would make the statistics a matter of chance
    with torch.no_grad():
        blocks = [documents[start : start + 16] for start in range(0, len(documents), 16)]
        hidden = [model.asked(collate(block).to(model.device)) for block in blocks]
        model.head.standardise(torch.cat(hidden))


def serving_threads() -> int:
    """Torch threads of a process that answers requests: a core is left to those who ask.

    With a thread on every core each product ends when the last of them gets its turn, and that one
    waits for whatever else runs.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(torch.get_num_threads(), (cores or 2) - 1))
