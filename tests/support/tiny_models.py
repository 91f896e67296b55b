"""The method's models at toy size: random backbone, random tables, no download."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompts
from cllm4rec.models.backbone import Backbone, load_backbone
from cllm4rec.models.embedding import ExtendedEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM, RecLLM
from cllm4rec.tokens.space import TokenSpace
from support.tiny_backbone import NUM_WORDS, SIZE, tiny_tokenizer, write_tiny_llama
from support.toy_run import PLAIN

HISTORIES = [[0, 1, 2, 3], [4, 2], [5, 6, 0, 1, 4, 2], [3], [6, 5, 4], [1, 0, 6, 2, 5]]
NUM_ITEMS = 7
SPACE = TokenSpace(NUM_WORDS, len(HISTORIES), NUM_ITEMS)
CORPUS = SETS.corpus


def interactions() -> Interactions:
    return Interactions.from_lists(HISTORIES, NUM_ITEMS)


def prompts() -> Prompts:
    return Prompts.build(tiny_tokenizer())


@functools.cache
def _loaded() -> tuple[Backbone, torch.Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_llama(Path(folder), layers=2)
        config = PLAIN.backbone.changed(name=folder, depth="all", dtype="float32")
        return load_backbone(Path(folder), config, seed=0)


def table(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SPACE.num_users + NUM_ITEMS, SIZE, generator=generator) * 0.3


def _parts(seed: int, *, skip: bool) -> tuple[Backbone, ExtendedEmbedding, ItemHead, torch.Tensor]:
    backbone, words = _loaded()
    head = ItemHead(NUM_ITEMS, SIZE, projection=True, skip=skip)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(SIZE))
    rankable = torch.ones(NUM_ITEMS, dtype=torch.bool)
    return backbone, ExtendedEmbedding(words, table(seed), SPACE), head, rankable


def collaborative_llm(seed: int = 0, *, skip: bool = True, **settings: float) -> CollaborativeLLM:
    return CollaborativeLLM(*_parts(seed, skip=skip), half_precision=False, **settings)


def rec_llm(seed: int = 0, *, skip: bool = True, **settings: float) -> RecLLM:
    return RecLLM(*_parts(seed, skip=skip), half_precision=False, **settings)


def content_llm(vocabulary: torch.Tensor, seed: int = 1) -> ContentLLM:
    backbone, words = _loaded()
    head = WordHead(words, vocabulary, projection=True, half_precision=False)
    return ContentLLM(backbone, ExtendedEmbedding(words, table(seed), SPACE), head)


class TextCorpus:
    """Three texts behind prompts that name a user or an item."""

    def __init__(self) -> None:
        space = SPACE
        self.documents = [
            Document(np.array([space.item(2), 40, 41], np.int32), np.array([9, 8, 7], np.int32)),
            Document(
                np.array([space.user(1), 40, space.item(4)], np.int32), np.array([8, 5], np.int32)
            ),
            Document(np.array([space.user(0), 42], np.int32), np.array([6, 9, 9, 5], np.int32)),
        ]

    def __len__(self) -> int:
        return len(self.documents)

    def lengths(self) -> np.ndarray:
        return np.array([len(d) for d in self.documents])

    def document(self, index: int, epoch: int) -> Document:
        return self.documents[index]

    @staticmethod
    def vocabulary() -> torch.Tensor:
        return torch.tensor([5, 6, 7, 8, 9])
