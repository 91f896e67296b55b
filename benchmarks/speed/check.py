"""The slow path: what a step should have computed, written out, in float32, one document at a time.

It shares no arithmetic with ``models``: the library's own eager layers under a padding mask, every
position's logits over the full table, ``torch.nn.functional.cross_entropy``. Only the parameters
are the fast path's own. A loss at random tables says little, since any model gives about log n
there: so the gradient of the token tables, which every part of the model has touched, is compared
as well.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig, AutoModel

from cllm4rec.documents.document import Document
from cllm4rec.models.backbone import quiet_transformers
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.tokens.space import ANONYMOUS

IGNORED = -100
"""Target of a position that is not scored."""


@dataclass(frozen=True)
class SlowBackbone:
    """The library's layers of a folder, eager and float32."""

    folder: Path
    depth: int

    @cached_property
    def model(self) -> Any:
        """The first ``depth`` layers as the library has them."""
        config = AutoConfig.from_pretrained(self.folder)
        config.num_hidden_layers = self.depth
        kind: Any = AutoModel
        with quiet_transformers():
            model = kind.from_pretrained(
                self.folder, config=config, dtype=torch.float32, attn_implementation="eager"
            )
        return model.eval().requires_grad_(False)

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Put a fast backbone's weights in by name: random ones are in no file.

        The word embeddings, which it has none of, stay those of the file.
        """
        with torch.no_grad():
            for name, own in self.model.state_dict().items():
                if name in weights and weights[name].shape == own.shape:
                    own.copy_(weights[name])

    @property
    def words(self) -> Tensor:
        """Word embeddings, ``[words, size]``."""
        table: Tensor = self.model.get_input_embeddings().weight
        return table

    def hidden(self, embedded: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states ``[batch, length, size]`` with the padding masked."""
        mask = torch.zeros(embedded.shape[:2], dtype=torch.int64)
        for row, length in enumerate(lengths):
            mask[row, :length] = 1
        output = self.model(inputs_embeds=embedded, attention_mask=mask, use_cache=False)
        hidden: Tensor = output.last_hidden_state
        return hidden


def joint_table(embedding: TokenEmbedding) -> Tensor:
    """Vectors of all users, then of all items."""
    users = embedding.words[:0] if embedding.users is None else embedding.users
    return torch.cat([users, embedding.items.all()])


class SlowPath:
    """A model's losses and scores by the slow path.

    Args:
        backbone: takes the fast one's weights.
        model: whose parameters are taken; its code is not used.
        cold: items that are no candidates in training.
    """

    def __init__(
        self,
        backbone: SlowBackbone,
        model: CollaborativeLLM | ContentLLM,
        cold: Sequence[int] | np.ndarray = (),
    ) -> None:
        backbone.take(model.backbone.model.state_dict())
        self.backbone = backbone
        self.model = model
        self.head: ItemHead | WordHead = copy.deepcopy(model.head).cpu()
        self.space = model.embedding.space
        self.cold = torch.as_tensor(np.asarray(cold, np.int64))
        self.table = joint_table(model.embedding).detach().cpu().clone().requires_grad_(True)

    def next_token(self, documents: Sequence[Document]) -> Tensor:
        """Mean negative log likelihood of all main-text tokens."""
        embedded, lengths = self._embedded(documents)
        hidden = self.backbone.hidden(embedded, lengths)
        logits = self._logits(hidden, self._means(documents, embedded))
        targets = torch.full(logits.shape[:2], IGNORED)
        for row, document in enumerate(documents):
            start = len(document.prompt)
            for place, token in enumerate(document.main.tolist(), start):
                targets[row, place - 1] = self._candidate(token)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    def held_out(self, documents: Sequence[Document], holdouts: Sequence[np.ndarray]) -> Tensor:
        """Mean negative log likelihood of all held-out items, the multi-hot target written out."""
        assert isinstance(self.model, CollaborativeLLM)
        log_p = F.log_softmax(self._warm(self.scores(documents)), dim=-1)
        target = torch.zeros_like(log_p)
        for row, holdout in enumerate(holdouts):
            target[row, torch.from_numpy(holdout).long()] = 1.0
        # Where no target is, minus infinity must not meet a zero.
        return -torch.where(target > 0, log_p, 0.0).sum() / target.sum()

    def scores(self, documents: Sequence[Document]) -> Tensor:
        """Logits of the whole catalogue after each document, ``[documents, items]``."""
        embedded, lengths = self._embedded(documents)
        hidden = self.backbone.hidden(embedded, lengths)
        logits = self._logits(hidden, self._means(documents, embedded), cold=False)
        return torch.stack([logits[row, length - 1] for row, length in enumerate(lengths)])

    def mutual(self, tokens: Sequence[int], other: Tensor) -> Tensor:
        """Mean over entity tokens of half the squared distance to the other side's row."""
        distances, other = [], other.detach().cpu()
        for token in tokens:
            if token >= self.space.num_words:
                row = token - self.space.num_words
                distances.append(0.5 * (self.table[row] - other[row]).square().sum())
        return torch.stack(distances).mean() if distances else torch.zeros(())

    def _embedded(self, documents: Sequence[Document]) -> tuple[Tensor, list[int]]:
        lengths = [len(document) for document in documents]
        padding = self.backbone.words[0]
        rows = []
        for document in documents:
            vectors = [self._vector(token, document) for token in _tokens(document)]
            vectors += [padding] * (max(lengths) - len(vectors))
            rows.append(torch.stack(vectors))
        return torch.stack(rows), lengths

    def _vector(self, token: int, document: Document) -> Tensor:
        if token >= self.space.num_words:
            return self.table[token - self.space.num_words]
        if token >= 0:
            return self.backbone.words[token]
        items = [t for t in _tokens(document) if self.space.is_item(t)]
        if token == ANONYMOUS and items:
            return torch.stack([self.table[t - self.space.num_words] for t in items]).mean(dim=0)
        return torch.zeros_like(self.table[0])

    def _means(self, documents: Sequence[Document], embedded: Tensor) -> Tensor | None:
        """At each position the weighted mean of the items up to it; None where none is used."""
        if not isinstance(self.model, CollaborativeLLM) or self.model.head.skip is None:
            return None
        rows = []
        for vectors, document in zip(embedded, documents, strict=True):
            total, weight, means = torch.zeros_like(vectors[0]), 0.0, []
            padded = [*_tokens(document), *([0] * (len(vectors) - len(document)))]
            for vector, token in zip(vectors, padded, strict=True):
                if self.space.is_item(token):
                    total = total * self.model.skip_decay + vector
                    weight = weight * self.model.skip_decay + 1
                means.append(total / max(weight, 1e-9))
            rows.append(torch.stack(means))
        return torch.stack(rows)

    def _logits(self, hidden: Tensor, means: Tensor | None, *, cold: bool = True) -> Tensor:
        head = self.head
        if isinstance(head, WordHead):
            query = hidden if head.projection is None else hidden @ head.projection.weight.T
            return query @ self.backbone.words[self._vocabulary].T + head.bias
        assert isinstance(self.model, CollaborativeLLM)
        query = hidden
        if head.projection is not None:
            query = ((hidden - head.mean) / head.std) @ head.projection.weight.T
        if head.skip is not None and means is not None:
            query = query + means @ head.skip.weight.T
        items = self.table[self.space.num_users :]
        logits = query @ items.T * head.log_scale.exp() + head.bias
        return self._warm(logits) if cold else logits

    def _warm(self, logits: Tensor) -> Tensor:
        """Scores with cold items left out."""
        return logits.index_fill(-1, self.cold, -torch.inf)

    @cached_property
    def _vocabulary(self) -> Tensor:
        head = self.head
        assert isinstance(head, WordHead)
        return (head.index >= 0).nonzero().flatten()

    def _candidate(self, token: int) -> int:
        """The place of a main-text token among the candidates."""
        if isinstance(self.model, CollaborativeLLM):
            return int(self.space.item_number(token))
        return int((self._vocabulary == token).nonzero().item())


def _tokens(document: Document) -> list[int]:
    return [*document.prompt.tolist(), *document.main.tolist()]
