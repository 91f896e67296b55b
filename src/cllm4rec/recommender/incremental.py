"""Incremental inference with a KV cache: appending an item to a history costs one token.

Only where order means something: a history of random order is drawn anew when it has grown, and no
token of it stands where it stood.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.data.interactions import Interactions, newest_once
from cllm4rec.errors import InputError
from cllm4rec.ranking import list_length, top_k
from cllm4rec.recommender.arguments import id_list
from cllm4rec.recommender.saved import Recommender


class IncrementalHistory:
    """Recommendations for a history that is extended item by item.

    Holds a KV cache (about 170 kB for 50 items and two layers of SmolLM2, in float32). Scores equal
    those of `Recommender.recommend_for_history` up to rounding. The whole history is read again
    where it does not begin as before: when it exceeds ``corpus.max_items`` (its oldest item drops
    out), when an item is repeated (it moves to the end), or when the words of its titles exceed
    ``corpus.history_words`` (the oldest title's do).

    Args:
        recommender: of a run in time order (``finetune.target = "next"``).
        items: external ids of the history so far, oldest first.

    Raises:
        InputError: the run treats histories as sets, or the backbone has no KV cache.
        UnknownId: an item that is not in the run.
    """

    _tokens: Tensor
    """What the cache has read."""

    def __init__(self, recommender: Recommender, items: Sequence[str] = ()) -> None:
        if not recommender.scorer.task.extends:
            raise InputError(
                "histories are sets in this run, so that a longer one is read anew; "
                "use recommend_for_history, or train with corpus.order=time, finetune.target=next"
            )
        self._ids = recommender.dataset.items
        self._scorer = recommender.scorer
        self._model = self._scorer.model.eval()
        self._items: list[int] = []
        self._forget()
        self.append(items)

    def __len__(self) -> int:
        return len(self._items)

    @torch.inference_mode()
    def append(self, items: Sequence[str]) -> None:
        """Append items, oldest first.

        An item already in the history moves to the end; the history is then read again.

        Raises:
            UnknownId: an item that is not in the run; nothing is appended.
        """
        numbers = self._ids.numbers(id_list("items", items)).tolist()
        whole = newest_once([*self._items, *numbers])
        if whole == self._items and self._cache.tokens > 0:
            return
        self._items = whole
        question = self._question(whole)
        read = self._cache.tokens
        if not torch.equal(question[:read], self._tokens):
            self._forget()
            read = 0
        self._read(question[read:])
        self._tokens = question

    def recommend(self, k: int = 10) -> list[tuple[str, float]]:
        """The best ``k`` items not in the history: ``[(item_id, score), …]``, best first.

        Raises:
            InputError: the history is empty, or ``k`` is not positive.
        """
        if not self._items:
            raise InputError("the history is empty; append at least one item id")
        ids = self._ids
        history = self._history(self._items)
        items, scores = top_k(self.scores()[None], history, list_length(k, len(ids)))
        pairs = zip(items[0], scores[0], strict=True)
        return [(ids.id(int(item)), float(score)) for item, score in pairs if item >= 0]

    @torch.inference_mode()
    def scores(self) -> NDArray[np.float32]:
        """Scores ``float32 [items]``: the blend, or the logits without a linear model."""
        query = self._model.head(self._state[None], (self._sum / self._weight)[None])
        logits = self._model.logits(query).cpu()
        scores = self._scorer.blended(logits, self._history(self._items))
        return np.asarray(scores[0].numpy(), np.float32)

    def _forget(self) -> None:
        size, device = self._model.embedding.size, self._model.device
        self._cache = self._model.backbone.new_cache()
        self._tokens = torch.empty(0, dtype=torch.int64)
        self._state = torch.zeros(size, device=device)
        """Hidden state at the document's end."""
        self._sum, self._weight = torch.zeros(size, device=device), torch.tensor(1e-9)
        """Numerator and denominator of `recent_mean`."""

    def _read(self, tokens: Tensor) -> None:
        tokens = tokens.to(self._model.device)
        embedded = self._model.embedding(tokens[None])[0]
        self._state = self._model.backbone.extend(embedded, self._cache)
        decay = self._model.skip_decay
        for vector in embedded[self._model.space.is_item(tokens)]:
            self._sum, self._weight = decay * self._sum + vector, decay * self._weight + 1

    def _question(self, items: list[int]) -> Tensor:
        task = self._scorer.task
        tokens = np.array([task.placeholder], np.int32)
        return torch.from_numpy(
            task.questions(tokens, self._history(items)).tokens.astype(np.int64)
        )

    def _history(self, items: list[int]) -> Interactions:
        return Interactions.from_lists([items], self._scorer.num_items)
