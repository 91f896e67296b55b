"""The items among which training looks for the right one."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.config.sections import ModelConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.models.losses import Loss, sampled_item_likelihood
from cllm4rec.training.divided import catalogue_likelihood


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Items of the training softmax.

    Attributes:
        bias: ``float32 [items]``, −inf for an item that is none, else 0.
        probability: that a micro-batch takes an item, ``float32 [items]``; None: it takes all.
    """

    bias: Float[Tensor, " items"]
    probability: Float[Tensor, " items"] | None = None

    @classmethod
    def of(cls, config: ModelConfig, histories: Interactions, device: torch.device) -> "Candidates":
        """Those of ``model.candidates`` and ``model.softmax_items``.

        With ``candidates = "trained"`` items without a training interaction are none: a user could
        not have chosen one, and learning to score it down would only spoil what its texts say.
        """
        counts = np.asarray(histories.item_counts())
        is_one = counts > 0 if config.candidates == "trained" else np.ones(len(counts), bool)
        bias = torch.where(torch.from_numpy(is_one), 0.0, -torch.inf).to(device)
        if not 0 < config.softmax_items < is_one.sum():
            return cls(bias)
        weights = np.where(is_one, np.sqrt(np.maximum(counts, 1)), 0.0)
        drawn = inclusion_probabilities(weights, config.softmax_items)
        return cls(bias, torch.from_numpy(drawn).to(bias))

    def likelihood(
        self,
        model: CollaborativeLLM,
        queries: Float[Tensor, "rows size"],
        rows: Int[Tensor, " targets"],
        targets: Int[Tensor, " targets"],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Loss:
        """Likelihood of the targets among the candidates, or among those drawn for this call.

        Args:
            model: whose items and head they are.
            queries: of the head, one per scored position or user.
            rows: row of each target, ascending.
            targets: item numbers.
            dtype: compute dtype of the products.
        """
        items, bias = model.embedding.items, model.head.bias + self.bias
        if self.probability is None:
            return catalogue_likelihood(items, queries, bias, rows, targets, dtype=dtype)
        return sampled_item_likelihood(
            items.vectors, queries, bias, rows, targets, self.probability, dtype=dtype
        )


def inclusion_probabilities(weights: NDArray[np.float64], expected: int) -> NDArray[np.float64]:
    """Probabilities in proportion to weights, at most one, whose sum is ``expected``.

    Args:
        weights: not negative; more than ``expected`` of them are positive.
        expected: how many are drawn, on average.
    """
    certain = np.zeros(len(weights), bool)
    while True:
        scale = (expected - certain.sum()) / weights[~certain].sum()
        above = ~certain & (weights * scale >= 1)
        if not above.any():
            return np.where(certain, 1.0, weights * scale)
        certain |= above
