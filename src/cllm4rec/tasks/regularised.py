"""What all training objectives share: a likelihood and mutual regularisation."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cllm4rec.models.device import tokens_at_once
from cllm4rec.models.families import is_packed
from cllm4rec.models.llms import TokenLLM
from cllm4rec.models.losses import Loss
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.tokens.batch import length_buckets
from cllm4rec.training.optim import trained_parameters

Model = TypeVar("Model", bound=TokenLLM)
Documents = TypeVar("Documents")
OneBatch = TypeVar("OneBatch")


@dataclass(eq=False)
class Regularised(Generic[Model, Documents, OneBatch]):
    """Likelihood + λ · mutual regularisation.

    Attributes:
        model: to train.
        corpus: of its documents.
        likelihood: loss of a batch.
        mutual: towards the other model's token vectors.
        batch_tokens: tokens per micro-batch; see `micro_batches`.
        seed: of order and batches.
    """

    model: Model
    corpus: Documents
    likelihood: Callable[[OneBatch], Loss]
    mutual: Mutual
    _: KW_ONLY
    batch_tokens: int
    seed: int

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each loss, by name."""
        return {"likelihood": 1.0, **self.mutual.weights}

    def micro_batches(
        self, lengths: NDArray[np.int64], rng: np.random.Generator | None
    ) -> list[NDArray[np.int64]]:
        """Documents that are read together, of similar length: `length_buckets`.

        A processor reads ``batch_tokens`` with padding. On another device layers that read packed
        documents count none, and a GPU reads all that it has room for.
        """
        device: torch.device = self.model.device
        config: Any = self.model.backbone.model.config
        depth, width = config.num_hidden_layers, config.hidden_size
        most = tokens_at_once(self.batch_tokens, device, depth, width)
        padding = device.type == "cpu" or not is_packed(config)
        return length_buckets(lengths, max_tokens=most, max_rows=None, rng=rng, padding=padding)

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Trained parameters of the model, with the backbone's if it is trained."""
        return trained_parameters(self.model)
