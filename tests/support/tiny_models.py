"""The method's models at toy size: random backbone, random tables, no download."""

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cllm4rec.config import SETS
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompts
from cllm4rec.models.backbone import Backbone, load_backbone
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.tasks.candidates import Candidates
from cllm4rec.tokens.batch import collate
from cllm4rec.tokens.space import TokenSpace
from support.tiny_backbone import NUM_WORDS, SIZE, tiny_tokenizer, write_tiny_llama
from support.toy_run import PLAIN

HISTORIES = [[0, 1, 2, 3], [4, 2], [5, 6, 0, 1, 4, 2], [3], [6, 5, 4], [1, 0, 6, 2, 5]]
NUM_ITEMS = 7
SPACE = TokenSpace(NUM_WORDS, len(HISTORIES), NUM_ITEMS)
CORPUS = SETS.corpus
ALL_ITEMS = Candidates(torch.zeros(NUM_ITEMS))
"""Bias of candidates; every item is in some history."""


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


def embedding(seed: int) -> TokenEmbedding:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(SPACE.num_users + NUM_ITEMS, SIZE, generator=generator) * 0.3
    return TokenEmbedding.of_tables(
        _loaded()[1], table[: SPACE.num_users], table[SPACE.num_users :]
    )


def table(embedding: TokenEmbedding) -> torch.Tensor:
    """Users and items as one table, users first: a copy."""
    return torch.cat([embedding.users, embedding.items.all()]).detach()


def collaborative_llm(seed: int = 0, *, skip: bool = True, **settings: float) -> CollaborativeLLM:
    head = ItemHead(NUM_ITEMS, SIZE, projection=True, skip=skip)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(SIZE))
    return CollaborativeLLM(_loaded()[0], embedding(seed), head, **settings)


def asked(model: CollaborativeLLM, documents: Sequence[Document]) -> torch.Tensor:
    """Logits of the whole catalogue at each document's end."""
    return model.logits(model.last_queries(collate(documents)))


def content_llm(vocabulary: torch.Tensor, seed: int = 1) -> ContentLLM:
    backbone, words = _loaded()
    head = WordHead(words, vocabulary, projection=True)
    return ContentLLM(backbone, embedding(seed), head)


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
